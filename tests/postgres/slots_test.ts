/** A slot for a create that two transactions want at once. */
import assert from "node:assert/strict";
import postgres from "postgres";
import { startPostgres } from "../../dev/stack/postgres/mod.ts";
import { startSupabase } from "../../dev/stack/supabase/mod.ts";
import { eventually, postgresTest } from "./postgres-test.ts";

/** One create per second, so that the second of two has to wait for its slot. */
const CLAIM = `
  select claim_machine(
    $1::uuid, $2, 'iad', 'low', 'request', 'hash', 2, 600000, 1, 1, 600000, array['test-app'],
    'wss://{app}.fly.dev'
  ) as claim`;

postgresTest(
  "a machine is destroyed while its create is put off: neither waits for good",
  async () => {
    await using server = await startPostgres();
    await (await startSupabase({ databaseUrl: server.url })).close();
    const sql = postgres(server.url, { max: 4, onnotice: () => {} });
    const waiting = async () =>
      (await sql`select from pg_stat_activity where wait_event_type = 'Lock'`).length;
    try {
      const [user] = await sql`
      insert into auth.users (id, email) values (gen_random_uuid(), 'a@example.com') returning id`;
      await sql.unsafe(CLAIM, [user?.id, "machine-1"]);
      const [claimed] = await sql.unsafe(CLAIM, [user?.id, "machine-2"]);
      const { id } = claimed?.claim.machine;

      // Both are held at the slot, so that they meet for certain.
      const both: Promise<unknown>[] = [];
      await sql.begin(async (holder) => {
        await holder`select from fly_create_slots where cloud_machine_id = ${id} for update`;
        both.push(sql`select delay_creates(${id}, 50, 1, 1)`.execute());
        await eventually("the create is being put off", async () => await waiting() === 1);
        both.push(sql`select mark_machine_destroyed(${id}, false, 'other', 1)`.execute());
        await eventually("the machine is being destroyed", async () => await waiting() === 2);
      });
      const outcomes = await Promise.allSettled(both);
      assert.deepEqual(outcomes.map(({ status }) => status), ["fulfilled", "fulfilled"]);

      const [row] = await sql`select status from cloud_machines where id = ${id}`;
      assert.equal(row?.status, "destroyed");
      const taken = await sql`select from fly_create_slots where cloud_machine_id = ${id}`;
      assert.equal(taken.length, 0, "its slot was given back");
    } finally {
      await sql.end();
    }
  },
);
