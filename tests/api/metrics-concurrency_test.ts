/** Counting on a real Postgres, where calls run at the same time. */
import assert from "node:assert/strict";
import postgres from "postgres";
import { startPostgres } from "../../dev/stack/postgres/mod.ts";
import { startSupabase } from "../../dev/stack/supabase/mod.ts";
import { postgresTest } from "../postgres/postgres-test.ts";

const CONNECTIONS = 16;
const MOVES = 25;

postgresTest(
  "calls that count in opposite orders do not block each other, and nothing is lost",
  async () => {
    await using server = await startPostgres();
    const supabase = await startSupabase({ databaseUrl: server.url });
    const connections = postgres(server.url, { max: CONNECTIONS, onnotice: () => {} });
    try {
      await supabase.sql(
        `insert into cloud_machines (machine_id, fly_app_name, region, cpu_priority, request_hash,
         request_id, deadline_at, reconcile_at)
       select 'machine-' || n, 'app', case when n % 2 = 0 then 'iad' else 'fra' end, 'low', 'hash',
         'r', now(), now() from generate_series(1, $1::int) n`,
        [CONNECTIONS],
      );
      // Half of them move from iad to fra, the others back: each lowers one total, raises the other,
      // so two that share a shard would lock its rows in opposite orders.
      await Promise.all(Array.from({ length: CONNECTIONS }, async (_, index) => {
        const session = await connections.reserve();
        try {
          for (let move = 0; move < MOVES; move++) {
            const region = (index + move) % 2 === 0 ? "iad" : "fra";
            await session`update cloud_machines set region = ${region}
            where machine_id = ${`machine-${index + 1}`}`;
          }
        } finally {
          session.release();
        }
      }));
      const counted = await supabase.sql(
        `select labels ->> 'region' as region, sum(value)::int as n from metric_counters
       where metric = 'machines' group by 1 having sum(value) <> 0 order by 1`,
      );
      const rows = await supabase.sql(
        "select region, count(*)::int as n from cloud_machines group by 1 order by 1",
      );
      assert.deepEqual(counted, rows);

      await Promise.all(
        Array.from(
          { length: CONNECTIONS * MOVES },
          (_, index) => connections`select add_to_durations('running', ${index}::bigint)`,
        ),
      );
      const [durations] = await supabase.sql(
        "select sum(sum_ms)::int as ms, count(*)::int as shards from metric_durations",
      );
      const total = CONNECTIONS * MOVES;
      assert.equal(durations?.["ms"], (total * (total - 1)) / 2);
      assert.ok(Number(durations?.["shards"]) > 1, "one hot total is spread over several rows");
    } finally {
      await connections.end({ timeout: 1 });
      await supabase.close();
    }
  },
);
