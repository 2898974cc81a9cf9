/** The ceilings hold on a real Postgres, however many claims come at once and whichever of them is ended. */
import assert from "node:assert/strict";
import postgres from "postgres";
import { startPostgres } from "../../dev/stack/postgres/mod.ts";
import { startSupabase } from "../../dev/stack/supabase/mod.ts";
import { postgresTest } from "./postgres-test.ts";

const CLAIMS = 500;
const CONNECTIONS = 24;
const USERS = 60;
const MAX_MACHINES = 40;
const PER_USER = 2;
const PER_HOUR = 5;

const CLAIM = `
  select claim_machine(
    p_user_id => $1::uuid, p_machine_id => $2, p_region => 'iad', p_cpu_priority => 'low',
    p_request_id => $2, p_request_hash => '', p_machine_limit => ${PER_USER}, p_timeout_ms => 600000,
    p_rate_per_second => 1000, p_burst => 1000, p_wait_at_most_ms => 600000,
    p_fly_app_names => array['test-app'], p_websocket_url_template => 'wss://{app}.fly.dev',
    p_max_machines => ${MAX_MACHINES}, p_provisions_per_hour => ${PER_HOUR}
  ) ->> 'outcome' as outcome`;

postgresTest(
  "500 claims at once, some ended in the middle: no ceiling is exceeded once",
  async () => {
    await using server = await startPostgres();
    const supabase = await startSupabase({ databaseUrl: server.url });
    const users = await Promise.all(Array.from({ length: USERS }, () => supabase.createUser()));
    await supabase.close();
    const sql = postgres(server.url, { max: CONNECTIONS, onnotice: () => {} });
    const killer = postgres(server.url, { max: 1, onnotice: () => {} });
    try {
      let done = 0;
      const outcomes: Record<string, number> = {};
      const claims = Array.from({ length: CLAIMS }, async (_, n) => {
        const user = users[n % USERS];
        assert.ok(user);
        const outcome = await sql.unsafe(CLAIM, [user.id, `machine-${n}`])
          .then(([row]) => String(row?.outcome), () => "ended");
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
        done++;
        // Some of those that were claimed end, so that places become free while others claim.
        if (outcome === "claimed" && n % 3 === 0) {
          await sql.unsafe(
            `select mark_machine_error(id, 'provisioning', 'machine_failed', 'it failed', 'r', 1)
           from cloud_machines where machine_id = $1`,
            [`machine-${n}`],
          ).catch(() => {/* ended: its place stays taken */});
        }
      });
      const endings = (async () => {
        while (done < CLAIMS) {
          await killer`
          select pg_cancel_backend(pid) from pg_stat_activity
          where query like '%claim_machine%' and pid <> pg_backend_pid() and state = 'active'
          order by random() limit 1`;
          const [live] = await killer`
          select count(*)::integer as n from cloud_machines
          where status in ('provisioning', 'running', 'stopped')`;
          assert.ok(live?.n <= MAX_MACHINES, `${live?.n} live machines`);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      })();
      await Promise.all([...claims, endings]);
      const [worst] = await sql`
      select max(live)::integer as live, max(rows)::integer as rows from (
        select count(*) filter (where status = 'provisioning') as live, count(*) as rows
        from cloud_machines group by user_id
      ) users`;
      assert.ok(worst?.live <= PER_USER && worst?.rows <= PER_HOUR, JSON.stringify(worst));
      assert.ok((outcomes["fleet_full"] ?? 0) > 0, JSON.stringify(outcomes));
      assert.ok((outcomes["ended"] ?? 0) > 0, JSON.stringify(outcomes));
      // What was refused or ended took no place: the rest can still be had, and no more.
      const last: string[] = [];
      for (const user of users.slice(0, MAX_MACHINES + 1)) {
        const [row] = await sql.unsafe(CLAIM, [user.id, `machine-last-${last.length}`]);
        last.push(String(row?.outcome));
      }
      assert.equal(last.at(-1), "fleet_full", last.join());
      const [all] = await sql`
      select count(*)::integer as live from cloud_machines where status = 'provisioning'`;
      assert.equal(all?.live, MAX_MACHINES, last.join());
    } finally {
      await Promise.all([sql.end(), killer.end()]);
    }
  },
);
