/** POST /provision-machine/{machineId}/start, /stop and /suspend. */
import assert from "node:assert/strict";
import type { LocalUser } from "../../dev/stack/supabase/mod.ts";
import { assertError, assertProvisioned, assertSuccess } from "../support/expectations.ts";
import { assertRun } from "../support/reconcile-run.ts";
import { type MachineRow, type Stack, startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";

type Change = "start" | "stop" | "suspend";

function change(stack: Stack, user: LocalUser | null, row: MachineRow, what: Change) {
  return stack.call(user, { method: "POST", path: `/${row.machine_id}/${what}` });
}

async function provision(stack: Stack, body: Record<string, unknown> = {}) {
  const user = await stack.supabase.createUser();
  return { user, row: await assertProvisioned(stack, await stack.call(user, { body })) };
}

async function kinds(stack: Stack, row: MachineRow): Promise<string[]> {
  return (await stack.historyOf(row.machine_id)).map(({ kind }) => kind).slice(3);
}

/** The row, the machine at Fly.io and the answer say the same. */
async function assertState(
  stack: Stack,
  row: MachineRow,
  flyState: string,
  status: string,
  reason: string | null,
): Promise<void> {
  const now = await stack.row(row.machine_id);
  assert.deepEqual([now.status, now.stop_reason], [status, reason]);
  assert.equal(stack.simulator.machine(row.machine_id)?.state, flyState);
}

Deno.test("a machine stops and starts at its owner's request", async (t) => {
  await using stack = await startStack({ fly: { settings: { restartDelayMs: 1 } } });
  const { simulator, supabase } = stack;

  await t.step("stop, twice: the row says so and why, and it can be started again", async () => {
    const { user, row } = await provision(stack);
    for (let n = 0; n < 2; n++) {
      const answer = await change(stack, user, row, "stop");
      assertSuccess(answer, 200, "stopped");
      assert.equal(answer.body.message, "Machine is stopped (requested)");
      assert.equal(answer.body.websocketUrl, row.websocket_url);
      await assertState(stack, row, "stopped", "stopped", "requested");
    }
    for (let n = 0; n < 2; n++) {
      const answer = await change(stack, user, row, "start");
      assertSuccess(answer, 200, "running");
      await assertState(stack, row, "started", "running", null);
    }
    assert.deepEqual(await kinds(stack, row), [
      "stop_requested",
      "stopped",
      "stop_requested",
      "start_requested",
      "started",
      "start_requested",
    ]);
    assert.deepEqual(stack.liveMachines(row.machine_id), [row.fly_machine_id]);
  });

  await t.step("suspend, twice, then start", async () => {
    const { user, row } = await provision(stack);
    for (let n = 0; n < 2; n++) {
      assertSuccess(await change(stack, user, row, "suspend"), 200, "stopped");
      await assertState(stack, row, "suspended", "stopped", "suspended");
    }
    assertSuccess(await change(stack, user, row, "start"), 200, "running");
    await assertState(stack, row, "started", "running", null);
  });

  await t.step(
    "a machine that cannot be suspended is stopped, and the answer says so",
    async () => {
      const { user, row } = await provision(stack);
      const { suspendFails } = simulator.world.settings;
      simulator.configure({ suspendFails: 1 });
      const answer = await change(stack, user, row, "suspend");
      simulator.configure({ suspendFails });
      assertSuccess(answer, 200, "stopped");
      await assertState(stack, row, "stopped", "stopped", "requested");
    },
  );

  await t.step("a suspended machine that is stopped loses its snapshot", async () => {
    const { user, row } = await provision(stack);
    assertSuccess(await change(stack, user, row, "suspend"), 200, "stopped");
    assertSuccess(await change(stack, user, row, "stop"), 200, "stopped");
    await assertState(stack, row, "stopped", "stopped", "requested");
    const answer = await change(stack, user, row, "suspend");
    assertError(answer, 409, "machine_state_conflict");
    assert.equal(answer.body.error, "The machine is stopped (requested)");
  });

  await t.step(
    "while it is stopped: replay, limit, connect and DELETE give the true state",
    async () => {
      const user = await supabase.createUser();
      const headers = { "idempotency-key": "the-key" };
      const row = await assertProvisioned(stack, await stack.call(user, { body: {}, headers }));
      assertSuccess(await change(stack, user, row, "stop"), 200, "stopped");
      const replay = await stack.call(user, { body: {}, headers });
      assertSuccess(replay, 200, "stopped");
      assert.equal(replay.headers.get("idempotency-replayed"), "true");
      assert.match(replay.body.message, /stopped now \(requested\): start it with POST/);
      const limit = await stack.call(user, { body: {} });
      assertError(limit, 409, "machine_limit_reached", ["websocketUrl", "status"]);
      assert.equal(limit.body.status, "stopped");
      assert.match(limit.body.message, /Start your existing machine, which is stopped/);
      const connection = await stack.call(user, {
        method: "POST",
        path: `/${row.machine_id}/connect`,
      });
      assert.deepEqual([connection.status, connection.body.status], [200, "stopped"]);
      stack.secrets.add("a connect token", connection.body.token);
      const gone = await stack.call(user, { method: "DELETE", path: `/${row.machine_id}` });
      assert.equal(gone.status, 200);
      const closed = await stack.row(row.machine_id);
      assert.deepEqual([closed.status, closed.stop_reason], ["destroyed", null]);
      assert.deepEqual(stack.liveMachines(row.machine_id), []);
      for (const what of ["start", "stop", "suspend"] as const) {
        const answer = await change(stack, user, row, what);
        assertError(answer, 409, "machine_state_conflict");
        assert.equal(answer.body.error, "The machine was destroyed");
      }
    },
  );

  await t.step("404 for another user's machine; a service may change any", async () => {
    const { row } = await provision(stack);
    const stranger = await supabase.createUser();
    assertError(await change(stack, stranger, row, "stop"), 404, "not_found");
    await assertState(stack, row, "started", "running", null);
    const path = `/${row.machine_id}/stop`;
    assertSuccess(await stack.callAsService({ method: "POST", path }), 200, "stopped");
  });

  await t.step("a start that comes too soon after the stop is asked for again", async () => {
    const { user, row } = await provision(stack);
    assertSuccess(await change(stack, user, row, "stop"), 200, "stopped");
    simulator.clearRequests();
    assertSuccess(await change(stack, user, row, "start"), 200, "running");
    const starts = simulator.requests().filter(({ action }) => action === "start");
    assert.ok(starts.length > 1, `${starts.length} starts`);
  });

  await t.step("no room on the host: fly_capacity, and the row stays stopped", async () => {
    const { user, row } = await provision(stack);
    assertSuccess(await change(stack, user, row, "stop"), 200, "stopped");
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    simulator.operator.setHost(row.machine_id, { noRoom: "memory" });
    const answer = await change(stack, user, row, "start");
    assertError(answer, 500, "fly_capacity");
    assert.match(answer.body.message, /destroy it and provision another/);
    await assertState(stack, row, "stopped", "stopped", "requested");
    const failed = (await stack.historyOf(row.machine_id)).at(-1);
    assert.deepEqual([failed?.kind, failed?.error_code], ["change_failed", "fly_capacity"]);
    const event = await stack.fn.failure(answer.requestId);
    assert.equal(event["code"], "fly_capacity");
    assert.ok(event["flyRequestId"]);
  });

  await t.step("a program that ends at once: the start fails and says why", async () => {
    const { user, row } = await provision(stack);
    assertSuccess(await change(stack, user, row, "stop"), 200, "stopped");
    simulator.addFault({
      match: { action: "start" },
      do: { kind: "fails", state: "failed", exitCode: 3, afterMs: 1 },
    });
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const answer = await change(stack, user, row, "start");
    assertError(answer, 500, "machine_failed");
    assert.match(answer.body.error, /did not start: it is failed; exit code 3/);
    await stack.call(user, { method: "DELETE", path: `/${row.machine_id}` });
  });

  await t.step("a crash that a caller notices first is reported, once", async () => {
    const { user, row } = await provision(stack);
    simulator.operator.exit(row.machine_id, { oomKilled: true, times: 9, uptimeMs: 1 });
    await until("it is stopped", () => simulator.machine(row.machine_id)?.state === "stopped");
    const first = await change(stack, user, row, "suspend");
    assertSuccess(first, 200, "stopped");
    await assertState(stack, row, "stopped", "stopped", "out of memory");
    const [event, ...others] = (await stack.log(first)).filter(({ level }) => level === "error");
    assert.match(event?.message ?? "", /^❌ The machine had stopped by itself \(out of memory\)/);
    assert.deepEqual([event?.["code"], event?.["machineId"]], ["machine_stopped", row.machine_id]);
    assert.equal(others.length, 0);
    assert.equal((await stack.historyOf(row.machine_id)).at(-1)?.kind, "crashed");
    const again = await change(stack, user, row, "stop");
    assertSuccess(again, 200, "stopped");
    assert.ok((await stack.log(again)).every(({ level }) => level !== "error"));
    await assertState(stack, row, "stopped", "stopped", "out of memory");
  });

  await t.step("lost answers, outages and slow answers: asked again, once done", async () => {
    const { user, row } = await provision(stack);
    for (const when of ["before", "after"] as const) {
      simulator.addFault({ match: { action: "stop" }, do: { kind: "reset", when } });
      assertSuccess(await change(stack, user, row, "stop"), 200, "stopped");
      simulator.addFault({
        match: { action: "start" },
        do: { kind: "status", status: 503, effect: when === "after" },
      });
      assertSuccess(await change(stack, user, row, "start"), 200, "running");
    }
    await assertState(stack, row, "started", "running", null);
  });

  await t.step("Fly.io is out: 500 with the code, and the row stays as it was", async () => {
    const { user, row } = await provision(stack);
    simulator.addFault({
      match: { action: "get" },
      times: "always",
      do: { kind: "status", status: 503, body: { error: "unavailable" } },
    });
    const answer = await change(stack, user, row, "stop");
    simulator.clearFaults();
    assertError(answer, 500, "fly_unavailable");
    assert.equal(answer.headers.get("retry-after"), "10");
    await assertState(stack, row, "started", "running", null);
  });

  await t.step("a DELETE meanwhile wins", async () => {
    const { user, row } = await provision(stack);
    simulator.addFault({
      match: { action: "wait" },
      do: { kind: "delay", ms: 500, when: "before" },
    });
    const stopping = change(stack, user, row, "stop");
    await until(
      "the stop is asked for",
      () => simulator.machine(row.machine_id)?.state !== "started",
    );
    const gone = await stack.call(user, { method: "DELETE", path: `/${row.machine_id}` });
    assert.equal(gone.status, 200);
    const answer = await stopping;
    assert.ok([409, 500].includes(answer.status), JSON.stringify(answer.body));
    assert.equal((await stack.row(row.machine_id)).status, "destroyed");
    assert.deepEqual(stack.liveMachines(row.machine_id), []);
  });

  await t.step(
    "the isolate dies after the stop: reconcile says that it was asked for",
    async () => {
      const { user, row } = await provision(stack);
      supabase.addFault({
        match: { rpc: "mark_machine_stopped" },
        times: 3,
        do: { kind: "reset", when: "before" },
      });
      assertError(await change(stack, user, row, "stop"), 500, "database_error");
      await assertState(stack, row, "stopped", "running", null);
      await stack.ageRows();
      await assertRun(stack, { stopped: 1 });
      await assertState(stack, row, "stopped", "stopped", "requested");
    },
  );
});
