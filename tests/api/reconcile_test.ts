/** POST /provision-machine/reconcile: interrupted requests and unowned machines. */
import assert from "node:assert/strict";
import { assertError, assertFailedRow, assertProvisioned } from "../support/expectations.ts";
import { killWhile, killWhileWaiting } from "../support/interruptions.ts";
import { assertRun, NOTHING } from "../support/reconcile-run.ts";
import { type MachineRow, type Stack, startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";

Deno.test("reconcile", async (t) => {
  await using stack = await startStack();
  const { simulator, supabase } = stack;

  await t.step("a run with nothing to do is recorded too", async () => {
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
    const logged = (await stack.log(answer)).some(({ text }) => text.includes(row.machine_id));
    assert.ok(logged, "the log names the machine");
  });

  await t.step(
    "the function was killed before its create: looked up now and once more",
    async () => {
      simulator.addFault({
        match: { action: "create" },
        do: { kind: "hang", when: "before" },
      });
      const { row } = await killWhile(stack, () => simulator.callsInFlight > 0);
      await stack.makeDue(row.machine_id);
      await assertRun(stack, { interrupted: 1 });
      const closed = await assertInterrupted(stack, row);
      assert.ok(closed.reconcile_at, "a create may still take effect");
      await assertRun(stack, {});
      await stack.makeDue(row.machine_id);
      await assertRun(stack, { cleanedUp: 1 });
      assert.equal((await stack.row(row.machine_id)).reconcile_at, null);
      await assertRun(stack, {});
    },
  );

  await t.step("a create that takes effect after its request gave up is destroyed", async () => {
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

  await t.step("Fly.io is out: the row is closed nevertheless, and cleaned up later", async () => {
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
    assert.equal(answer.body.interrupted, 1);
    assert.ok(answer.body.failed >= 1);
    const event = await until(
      "the failure is logged",
      () => stack.fn.events(answer.requestId).find(({ level }) => level === "error"),
    );
    assert.match(event.message, /^Reconcile: /);
    assert.ok((await assertInterrupted(stack, row)).reconcile_at);
    simulator.clearFaults();
    await stack.makeDue(row.machine_id);
    await assertRun(stack, { cleanedUp: 1 });
    assert.deepEqual(stack.liveMachines(row.machine_id), []);
  });

  await t.step("a malformed setting that reconcile does not need", async () => {
    simulator.addFault({ match: { action: "create" }, do: { kind: "never-starts" } });
    const { row } = await killWhileWaiting(stack);
    await stack.makeDue(row.machine_id);
    await using fn = await stack.start({ LOG_LEVEL: "verbose" });
    const headers = { apikey: supabase.secretKey };
    const { status, body } = await fn.call(null, { path: "/reconcile", headers });
    assert.equal(status, 200);
    assert.equal(body.interrupted, 1, JSON.stringify(body));
    assert.match(body.actions[0].reason, /LOG_LEVEL not valid/);
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

  await t.step("Fly.io cannot be called: an error, and no row stays provisioning", async () => {
    simulator.addFault({ match: { action: "create" }, do: { kind: "never-starts" } });
    const { row } = await killWhileWaiting(stack);
    await stack.makeDue(row.machine_id);
    await using fn = await stack.start({ FLY_API_TOKEN: undefined });
    const headers = { apikey: supabase.secretKey };
    assertError(
      await fn.call(null, { path: "/reconcile", headers }),
      500,
      "configuration_error",
    );
    assert.ok((await assertInterrupted(stack, row)).reconcile_at);
    await stack.makeDue(row.machine_id);
    await assertRun(stack, { cleanedUp: 1 });
  });

  await t.step("ten machines whose destruction hangs delay nothing else", async () => {
    // More than are worked on at once, and one behind them.
    const owners = await Promise.all(Array.from({ length: 11 }, () => supabase.createUser()));
    const answers = await Promise.all(owners.map((owner) => stack.call(owner, { body: {} })));
    const ids = answers.map(({ body }) => String(body.machineId));
    for (const [index, { id }] of owners.entries()) {
      await supabase.sql("delete from auth.users where id = $1", [id]);
      await supabase.sql(
        "update cloud_machines set reconcile_at = now() - make_interval(secs => $1) where machine_id = $2",
        [owners.length - index, ids[index]],
      );
    }
    simulator.addFault({ match: { action: "create" }, do: { kind: "never-starts" } });
    const { row } = await killWhile(stack, (row) => row.fly_machine_id !== null);
    await stack.makeDue(row.machine_id);
    for (const machineName of ids.slice(0, 10)) {
      simulator.addFault({
        match: { action: "delete", machineName },
        do: { kind: "hang", when: "before" },
      });
    }
    const { body } = await stack.reconcile();
    assert.deepEqual(
      [body.interrupted, body.destroyed, body.failed],
      [1, 1, 10],
      JSON.stringify(body),
    );
    assert.equal((await stack.row(ids[10] ?? "")).status, "destroyed");
    // They are due again after a growing pause, at the end of the queue.
    const pauses = await supabase.sql<{ pause: number }>(
      `select extract(epoch from reconcile_at - now())::int as pause from cloud_machines
       where destroy_requested_at is not null and status = 'running'`,
    );
    assert.equal(pauses.length, 10);
    for (const { pause } of pauses) assert.ok(pause > 0, `due in ${pause} s`);
    await supabase.sql(
      "update cloud_machines set reconcile_at = now() where user_id is null and status = 'running'",
    );
    assert.equal((await stack.reconcile()).body.destroyed, 10);
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
