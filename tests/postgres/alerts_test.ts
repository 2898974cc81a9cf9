/** However many failures there are, deciding on an alert and noting one more read as much. */
import assert from "node:assert/strict";
import postgres, { type Sql } from "postgres";
import { startPostgres } from "../../dev/stack/postgres/mod.ts";
import { startSupabase } from "../../dev/stack/supabase/mod.ts";
import { postgresTest } from "./postgres-test.ts";

const CALLS = {
  "an evaluation": "select evaluate_alerts(3, 600000, 1800000, 30000, false, 100)",
  "one more failure":
    "select record_failed_request('r', 'fly_capacity', 10, gen_random_uuid()::text)",
};

postgresTest("alerts: as much is read with a hundred thousand failures as with two", async () => {
  await using server = await startPostgres();
  const supabase = await startSupabase({ databaseUrl: server.url });
  const sql = postgres(server.url, { max: 1, onnotice: () => {} });
  try {
    await fail(sql, 2_000);
    const few = await blocksRead(sql);
    await fail(sql, 100_000);
    const many = await blocksRead(sql);
    for (const [call, blocks] of Object.entries(many)) {
      // An index of a hundred thousand has a level more than one of two thousand.
      assert.ok(
        blocks <= (few[call] ?? 0) * 2,
        `${call}: ${few[call]} blocks, then ${blocks}`,
      );
    }
    const [{ content } = { content: null }] = await sql`
      select content from alerts where kind = 'failures' order by id desc limit 1`;
    assert.deepEqual(content?.byCode, { fly_capacity: 1_000, fly_unavailable: 1_000 });
    assert.deepEqual([content?.count, content?.atLeast], [2_000, true]);
    // A threshold beyond that is counted up to.
    await sql`delete from alerts`;
    await sql`delete from alert_codes`;
    await sql`select evaluate_alerts(30000, 600000, 1800000, 30000, false, 100)`;
    const [alert] = await sql`select content from alerts where kind = 'failures'`;
    assert.equal(alert?.["content"].count, 60_000);
  } finally {
    await sql.end();
    await supabase.close();
  }
});

/** More failures within the last ten minutes, of two codes. */
async function fail(sql: Sql, failures: number): Promise<void> {
  await sql.begin(async (transaction) => {
    await transaction`set local session_replication_role = replica`;
    await transaction`
      insert into machine_events (request_id, kind, error_code, created_at)
      select 'r' || g, 'failed', (array['fly_capacity', 'fly_unavailable'])[1 + g % 2],
        now() - interval '5 minutes' * random()
      from generate_series(1, ${failures}::int) g`;
  });
  await sql`vacuum analyze machine_events`;
}

/** Blocks of each call, in the cache or not, once nothing new has to be told. */
async function blocksRead(sql: Sql): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const [name, call] of Object.entries(CALLS)) {
    await sql`delete from alert_codes`;
    await sql.unsafe(call);
    const [row] = await sql.unsafe(`explain (analyze, buffers, format json) ${call}`);
    const plan = row?.["QUERY PLAN"][0].Plan;
    found[name] = Number(plan["Shared Hit Blocks"]) + Number(plan["Shared Read Blocks"]);
  }
  return found;
}
