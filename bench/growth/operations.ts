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
  options: { limit?: number; rate?: number; fleet?: number | null } = {},
) {
  const { limit = 1_000, rate = 1_000_000, fleet = null } = options;
  return sql.unsafe(
    `select claim_machine(${user}, $1, 'iad', 'normal', $2, md5('1'), ${limit}, 120000, ${rate}, 1000000, 90000,
       array['${APP}'], 'wss://{app}.fly.dev/machines/{machineId}', $3,
       p_max_machines => $4::integer, p_provisions_per_hour => 1000000)`,
    [`machine-${crypto.randomUUID()}`, crypto.randomUUID(), key, fleet],
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
    name: "claim: no machine left",
    run: (sql, round) => claim(sql, historyUser(round % 100), crypto.randomUUID(), { fleet: 100 }),
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
    run: (sql) => sql`select evaluate_alerts(1000000, 600000, 1800000, 60000, false, 100)`,
  },
  {
    name: "reconcile: take due rows",
    run: async (sql) => {
      await sql`select take_due_machines(50, 0, gen_random_uuid()::text)`;
    },
  },
  {
    name: "stop and start",
    run: async (sql) => {
      const [row] = await sql`select id from cloud_machines where machine_id = 'machine-42'`;
      for (const change of ["stop", "start"]) {
        await sql`select request_machine_change('machine-42', ${change}, 'r')`;
        if (change === "stop") {
          await sql`select mark_machine_stopped(${row?.["id"]}, 'requested', 'r', 10)`;
        } else await sql`select mark_machine_started(${row?.["id"]}, 'r', 10)`;
      }
    },
  },
  {
    name: "usage: an owner's machines",
    run: (sql) => sql.unsafe(`select * from machine_usage where user_id = ${historyUser(8)}`),
  },
  { name: "reconcile: begin", run: (sql) => sql`select begin_reconcile()` },
  {
    name: "reconcile: expire old machines",
    run: (sql) => sql`select expire_machines(${10 * 365 * 86_400_000}, 100, 'r')`,
  },
  {
    name: "reconcile: a page of live rows",
    run: (sql) =>
      sql`select list_live_machines(50, ${APP}, '7f000000-0000-0000-0000-000000000000')`,
  },
  { name: "retention", run: (sql) => sql`select prune_history(3650)` },
];
