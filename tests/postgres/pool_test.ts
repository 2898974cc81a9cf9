/** The warm pool on a real Postgres: claims, checks and refills at once, some ended in the middle. */
import assert from "node:assert/strict";
import postgres from "postgres";
import { startPostgres } from "../../dev/stack/postgres/mod.ts";
import { startSupabase } from "../../dev/stack/supabase/mod.ts";
import { postgresTest } from "./postgres-test.ts";

const ENTRIES = 100;
const CLAIMS = 160;
const CONNECTIONS = 24;
const MAX_MACHINES = 180;

const CLAIM = `
  select claim_machine(
    p_user_id => $1::uuid, p_machine_id => $2, p_region => 'iad', p_cpu_priority => 'normal',
    p_request_id => $2, p_request_hash => '', p_machine_limit => 1000, p_timeout_ms => 600000,
    p_rate_per_second => 1000, p_burst => 1000, p_wait_at_most_ms => 600000, p_own_app => true,
    p_fly_app_names => array['org:personal'], p_websocket_url_template => 'wss://{app}.fly.dev',
    p_max_machines => ${MAX_MACHINES}, p_config_hash => 'now'
  ) as claim`;
const ADD = `
  select add_pooled_machine(
    p_name_prefix => 'test-app', p_random => $1, p_create_bucket => 'org:personal', p_region => 'iad',
    p_standby => 'stopped', p_config_hash => 'later', p_websocket_url_template => 'wss://{app}.fly.dev',
    p_pool_size => 1000, p_max_machines => ${MAX_MACHINES}, p_rate_per_second => 1000000,
    p_make_within_ms => 600000
  )`;

interface Claimed {
  outcome: string;
  pooled?: boolean;
  machine?: { machine_id: string; fly_machine_id: string | null };
}

postgresTest(
  `${CLAIMS} claims at once of a pool of ${ENTRIES}: each machine has one owner, and none is too many`,
  async () => {
    await using server = await startPostgres();
    const supabase = await startSupabase({ databaseUrl: server.url });
    const users = await Promise.all(Array.from({ length: 40 }, () => supabase.createUser()));
    await supabase.close();
    const sql = postgres(server.url, { max: CONNECTIONS, onnotice: () => {} });
    const operator = postgres(server.url, { max: 2, onnotice: () => {} });
    try {
      await operator.unsafe(`
        insert into pooled_machines (machine_id, fly_app_name, fly_machine_id, create_bucket, region,
          standby, config_hash, websocket_url, made_until, reconcile_at)
        select 'entry-' || n, 'entry-' || n, 'fly-' || n, 'org:personal', 'iad', 'stopped', 'now',
          'wss://entry', now(), now() from generate_series(1, ${ENTRIES}) n`);
      const note = () =>
        operator.unsafe(`
          select note_pooled_machines('org:personal', array_agg(id), array_agg(id), true)
          from pooled_machines where config_hash = 'now'`);
      await note();

      const claimed: Claimed[] = [];
      let done = 0;
      const claims = Array.from({ length: CLAIMS }, async (_, n) => {
        const claim = await sql.unsafe(CLAIM, [users[n % 40]?.id ?? "", `claim-${n}`])
          .then(([row]): Claimed => row?.["claim"], (): Claimed => ({ outcome: "ended" }));
        claimed.push(claim);
        done++;
      });
      const others = (async () => {
        for (let n = 0; done < CLAIMS; n++) {
          await note();
          await operator.unsafe(ADD, [`added-${n}`]);
          if (n % 4 === 0) {
            await operator.unsafe(`
              select pg_terminate_backend(pid) from pg_stat_activity
              where query like '%claim_machine%' and pid <> pg_backend_pid() and random() < 0.1`);
          }
        }
      })();
      await Promise.all([...claims, others]);

      const pooled = claimed.filter(({ pooled }) => pooled);
      const names = pooled.map(({ machine }) => machine?.machine_id);
      assert.equal(new Set(names).size, names.length, "a machine was given twice");
      assert.ok(pooled.every(({ machine }) => machine?.fly_machine_id?.startsWith("fly-")));
      const [counts] = await operator<{ owned: number; left: number; all: number }[]>`
        select
          (select count(*)::integer from cloud_machines where machine_id like 'entry-%') as owned,
          (select count(*)::integer from pooled_machines where machine_id like 'entry-%') as left,
          (select count(*)::integer from cloud_machines where status <> 'error')
            + (select count(*)::integer from pooled_machines) as all`;
      assert.ok(counts);
      // A claim that was ended either has its row or has left the entry in the pool.
      assert.equal(counts.owned + counts.left, ENTRIES);
      assert.ok(
        counts.owned >= pooled.length && counts.owned > ENTRIES / 2,
        JSON.stringify(counts),
      );
      assert.ok(counts.all <= MAX_MACHINES, JSON.stringify(counts));
      assert.ok(claimed.some(({ outcome, pooled }) => outcome === "claimed" && !pooled));
    } finally {
      await sql.end({ timeout: 1 });
      await operator.end({ timeout: 1 });
    }
  },
);
