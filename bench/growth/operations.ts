/** What the function asks of the database, as SQL. Each may be repeated any number of times. */
import type { Sql } from "postgres";
import { APP } from "./history.ts";

export interface Operation {
  name: string;
  run(sql: Sql, round: number): Promise<unknown>;
}

/** Users of the history, by number. */
const historyUser = (n: number) => `md5('user${n}')::uuid`;

function claim(
  sql: Sql,
  user: string,
  key: string,
  options: { limit?: number; rate?: number } = {},
) {
  const { limit = 1_000, rate = 1_000_000 } = options;
  return sql.unsafe(
    `select claim_machine(${user}, $1, 'iad', 'normal', $2, md5('1'), ${limit}, 120000, ${rate}, 1000000, 90000,
       array['${APP}'], 'wss://{app}.fly.dev/machines/{machineId}', $3)`,
    [`machine-${crypto.randomUUID()}`, crypto.randomUUID(), key],
  );
}

export const OPERATIONS: Operation[] = [
  {
    name: "claim: a new machine",
    run: (sql, round) => claim(sql, historyUser(round % 100), crypto.randomUUID()),
  },
  {
    name: "claim: a repeated key",
    run: (sql, round) => claim(sql, historyUser(round + 1), `key-${(round + 1) * 5}`),
  },
  {
    name: "claim: limit reached",
    run: (sql, round) => claim(sql, historyUser(round % 100), crypto.randomUUID(), { limit: 1 }),
  },
  {
    name: "record and mark running",
    run: async (sql) => {
      const user = historyUser(7);
      const [claimed] = await claim(sql, user, crypto.randomUUID());
      const { id } = claimed?.["claim_machine"].machine;
      await sql`select record_fly_machine(${id}, ${crypto.randomUUID()}, 'iad', 'r', 10)`;
      await sql`select mark_machine_running(${id}, 'fly-x', 'iad', 'r', 20)`;
    },
  },
  { name: "metrics", run: (sql) => sql`select read_metrics()` },
  { name: "health", run: (sql) => sql`select read_health()` },
  {
    name: "alerts: evaluate",
    run: (sql) => sql`select evaluate_alerts(1000000, 600000, 1800000, 60000)`,
  },
  {
    name: "reconcile: take due rows",
    run: async (sql) => {
      await sql`select take_due_machines(50, 0, gen_random_uuid()::text)`;
    },
  },
  {
    name: "reconcile: a page of running rows",
    run: (sql) =>
      sql`select list_running_machines(${APP}, 50, '7f000000-0000-0000-0000-000000000000')`,
  },
];
