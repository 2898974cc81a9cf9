/** POST /provision-machine/reconcile: what died is closed, what bills unseen is destroyed. */
import assert from "node:assert/strict";
import { assertError, assertFailedRow, assertProvisioned } from "../support/expectations.ts";
import { killWhile, killWhileWaiting } from "../support/interruptions.ts";
import { assertRun, NOTHING } from "../support/reconcile-run.ts";
import { type MachineRow, type Stack, startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";

Deno.test("reconcile", async (t) => {
  await using stack = await startStack();
  const { simulator, supabase } = stack;

  await t.step("nothing to do is noted as well", async () => {
    await assertRun(stack, {});
    const [run] = await supabase.sql<{ counts: Record<string, number> }>(
      "select counts from reconcile_runs order by id desc limit 1",
    );
    for (const [action, count] of Object.entries(NOTHING)) assert.equal(run?.counts[action], count);
  });

  await t.step("the function was killed, the machine started: it is adopted", async () => {
    supabase.addFault({
      match: { rpc: "mark_machine_running" },
      do: { kind: "hang", when: "before" },
    });
    const { user, row } = await killWhileWaiting(stack);
    await until("the machine is up", () => simulator.machine(row.machine_id)?.state === "started");
    await stack.makeDue(row.machine_id);
    await assertRun(stack, { adopted: 1 });
    const adopted = await stack.row(row.machine_id);
    assert.equal(adopted.status, "running");
    assert.ok(adopted.provisioned_at && adopted.reconcile_at === null);
    assert.deepEqual(stack.liveMachines(row.machine_id), [adopted.fly_machine_id]);
    assert.equal((await stack.historyOf(row.machine_id)).at(-1)?.kind, "adopted");
    const again = await stack.call(user, { body: {} });
    assertError(again, 409, "machine_limit_reached", ["websocketUrl", "status"]);
    assert.equal(again.body.status, "running");
  });

  await t.step("the function was killed, the machine did not start: it is destroyed", async () => {
    simulator.addFault({ match: { action: "create" }, do: { kind: "never-starts" } });
    const { row } = await killWhileWaiting(stack);
    await stack.makeDue(row.machine_id);
    const answer = await assertRun(stack, { interrupted: 1 });
    await assertInterrupted(stack, row);
    assert.deepEqual(stack.liveMachines(row.machine_id), []);
    assert.equal((await stack.row(row.machine_id)).reconcile_at, null);
    const told = (await stack.log(answer)).some(({ text }) => text.includes(row.machine_id));
    assert.ok(told, "the log names the machine");
  });

  await t.step(
    "the function was killed before its create: looked for now and once more",
    async () => {
      simulator.addFault({
        match: { action: "create" },
        do: { kind: "hang", when: "before" },
      });
      const { row } = await killWhile(stack, () => simulator.callsInFlight > 0);
      await stack.makeDue(row.machine_id);
      await assertRun(stack, { interrupted: 1 });
      const closed = await assertInterrupted(stack, row);
      assert.ok(closed.reconcile_at, "a create may still land");
      await assertRun(stack, {});
      await stack.makeDue(row.machine_id);
      await assertRun(stack, { cleanedUp: 1 });
      assert.equal((await stack.row(row.machine_id)).reconcile_at, null);
      await assertRun(stack, {});
    },
  );

  await t.step("a create that lands after its request gave up is destroyed", async () => {
    simulator.addFault({
      match: { action: "create" },
      do: { kind: "delay", ms: 5_000, when: "before" },
    });
    await using fn = await stack.start({ PROVISION_TIMEOUT_SECONDS: "4" });
    const answer = await fn.call(await supabase.createUser(), { body: {} });
    assertError(answer, 500, "provision_timeout");
    const { machine_id } = await assertFailedRow(stack, answer, "left to reconcile");
    await until("the create lands", () => stack.liveMachines(machine_id).length === 1);
    await stack.makeDue(machine_id);
    await assertRun(stack, { cleanedUp: 1 });
    assert.deepEqual(stack.liveMachines(machine_id), []);
  });

  await t.step("the owner was deleted: the machine is destroyed", async () => {
    const user = await supabase.createUser();
    const { machine_id } = await assertProvisioned(stack, await stack.call(user, { body: {} }));
    await supabase.sql("delete from auth.users where id = $1", [user.id]);
    await assertRun(stack, { destroyed: 1 });
    const row = await stack.row(machine_id);
    assert.deepEqual([row.status, row.user_id], ["destroyed", null]);
    assert.deepEqual(stack.liveMachines(machine_id), []);
  });

  await t.step("Fly.io is out: the run says what failed, and the next one does it", async () => {
    simulator.addFault({ match: { action: "create" }, do: { kind: "never-starts" } });
    const { row } = await killWhileWaiting(stack);
    await stack.makeDue(row.machine_id);
    simulator.addFault({
      match: {},
      times: "always",
      do: { kind: "status", status: 503, body: { error: "unavailable" } },
    });
    const answer = await stack.reconcile();
    assert.equal(answer.status, 200);
    assert.ok(answer.body.failed >= 1);
    const event = await until(
      "the failure is logged",
      () => stack.fn.events(answer.requestId).find(({ level }) => level === "error"),
    );
    assert.match(event.message, /^Reconcile: /);
    assert.equal((await stack.row(row.machine_id)).status, "provisioning");
    simulator.clearFaults();
    await stack.makeDue(row.machine_id);
    await assertRun(stack, { interrupted: 1 });
  });

  await t.step("two runs at once do everything once", async () => {
    simulator.addFault({ match: { action: "create" }, do: { kind: "never-starts" } });
    const { row } = await killWhileWaiting(stack);
    await stack.makeDue(row.machine_id);
    const runs = await Promise.all([stack.reconcile(), stack.reconcile()]);
    assert.equal(runs.reduce((sum, { body }) => sum + body.interrupted, 0), 1);
    const kinds = (await stack.historyOf(row.machine_id)).map(({ kind }) => kind);
    assert.equal(kinds.filter((kind) => kind === "interrupted").length, 1);
  });

  await t.step("a row is not due while its request may still be at work", async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    supabase.addFault({
      match: { rpc: "mark_machine_running" },
      do: { kind: "hold", until: released },
    });
    const user = await supabase.createUser();
    const provisioning = stack.call(user, { body: {} });
    await until("the row is there", async () => (await stack.rowsOf(user)).length === 1);
    await assertRun(stack, {});
    release();
    await assertProvisioned(stack, await provisioning);
  });

  await t.step("a broken configuration is an error", async () => {
    await using fn = await stack.start({ FLY_API_TOKEN: undefined });
    const headers = { apikey: supabase.secretKey };
    assertError(
      await fn.call(null, { path: "/reconcile", headers }),
      500,
      "configuration_error",
    );
  });
});

async function assertInterrupted(stack: Stack, { machine_id }: MachineRow): Promise<MachineRow> {
  const row = await stack.row(machine_id);
  assert.deepEqual([row.status, row.error_code], ["error", "interrupted"]);
  assert.ok(row.error_message);
  const interrupted = (await stack.historyOf(machine_id))
    .find(({ kind }) => kind === "interrupted");
  assert.equal(interrupted?.error_code, "interrupted");
  return row;
}
