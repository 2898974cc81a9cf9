/** Reconcile on a real Postgres, with thousands of due rows of one user in front of another's one. */
import assert from "node:assert/strict";
import { startPostgres } from "../../dev/stack/postgres/mod.ts";
import { killWhile } from "../support/interruptions.ts";
import { assertProvisioned } from "../support/expectations.ts";
import { startStack } from "../support/stack.ts";
import { postgresTest } from "./postgres-test.ts";

const DUE = 5_000;
const HANGING = 4;

postgresTest(
  "4 hanging DELETEs and 5,000 due clean-ups of one user: a dead request's row is closed at once",
  async () => {
    await using server = await startPostgres();
    await using stack = await startStack({ supabase: { databaseUrl: server.url } });
    const { simulator, supabase } = stack;
    const busy = await supabase.createUser();
    for (let n = 0; n < HANGING; n++) {
      const owner = await supabase.createUser();
      const { machine_id } = await assertProvisioned(stack, await stack.call(owner, { body: {} }));
      simulator.addFault({
        match: { action: "delete", machineName: machine_id },
        times: "always",
        do: { kind: "hang", when: "before" },
      });
      await supabase.sql("delete from auth.users where id = $1", [owner.id]);
    }
    await supabase.sql(
      `insert into cloud_machines (user_id, machine_id, fly_app_name, region, cpu_priority, status,
         error_code, error_message, request_hash, request_id, deadline_at, reconcile_at)
       select $1, 'machine-stress-' || n, 'test-app', 'iad', 'low', 'error', 'interrupted', 'it died',
         '', 'r', now() - interval '1 hour', now() - interval '1 hour'
       from generate_series(1, $2::integer) n`,
      [busy.id, DUE],
    );
    simulator.addFault({ match: { action: "create" }, do: { kind: "never-starts" } });
    const { row } = await killWhile(stack, (row) => row.fly_machine_id !== null);
    await stack.makeDue(row.machine_id);

    const { status, body } = await stack.reconcile();
    assert.equal(status, 200, JSON.stringify(body));
    const closed = await stack.row(row.machine_id);
    assert.deepEqual([closed.status, closed.error_code], ["error", "interrupted"]);
    assert.equal(body.interrupted, 1);
    // The hanging ones cost their own budget alone: the busy user's rows went on beside them.
    assert.equal(body.failed, HANGING);
    assert.ok(body.cleanedUp > 0, JSON.stringify(body.actions));
    simulator.clearFaults();
    await supabase.sql("update cloud_machines set reconcile_at = null where user_id = $1", [
      busy.id,
    ]);
    await supabase.sql(
      "update cloud_machines set reconcile_at = now() where status = 'running' and user_id is null",
    );
    assert.equal((await stack.reconcile()).body.destroyed, HANGING);
  },
);
