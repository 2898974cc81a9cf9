/** DELETE /provision-machine/{machineId} */
import assert from "node:assert/strict";
import type { LocalUser } from "../../dev/stack/supabase/mod.ts";
import { assertError, assertProvisioned } from "../support/expectations.ts";
import { type Answer, type Stack, startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";

Deno.test("destroying a machine", async (t) => {
  await using stack = await startStack();
  const { simulator, supabase } = stack;
  const provision = async () => {
    const user = await supabase.createUser();
    const { machine_id } = await assertProvisioned(stack, await stack.call(user, { body: {} }));
    return { user, machineId: machine_id };
  };
  const destroy = (user: LocalUser | null, machineId: string) =>
    stack.call(user, { method: "DELETE", path: `/${machineId}` });

  await t.step("by its owner, and again", async () => {
    const { user, machineId } = await provision();
    const answer = await destroy(user, machineId);
    await assertDestroyed(stack, answer, machineId);
    simulator.clearRequests();
    await assertDestroyed(stack, await destroy(user, machineId), machineId);
    assert.deepEqual(simulator.requests(), []);
    const kinds = (await stack.historyOf(machineId)).map(({ kind }) => kind);
    assert.deepEqual(kinds.slice(-2), ["destroy_requested", "destroyed"]);
    assert.equal(kinds.filter((kind) => kind === "destroyed").length, 1);
  });

  await t.step("by a service", async () => {
    const { machineId } = await provision();
    const answer = await stack.callAsService({ method: "DELETE", path: `/${machineId}` });
    await assertDestroyed(stack, answer, machineId);
  });

  await t.step("with a slash at the end, and through the gateway", async () => {
    const first = await provision();
    await assertDestroyed(stack, await destroy(first.user, `${first.machineId}/`), first.machineId);
    const second = await provision();
    const response = await fetch(
      `${supabase.url}/functions/v1/provision-machine/${second.machineId}`,
      {
        method: "DELETE",
        headers: {
          authorization: `Bearer ${second.user.accessToken}`,
          apikey: supabase.publishableKey,
        },
      },
    );
    assert.equal(response.status, 200);
    await response.body?.cancel();
    assert.equal((await stack.row(second.machineId)).status, "destroyed");
  });

  await t.step("404 for anyone else, as for a machine that does not exist", async () => {
    const { machineId } = await provision();
    const stranger = await supabase.createUser();
    const answers = [
      await destroy(stranger, machineId),
      await destroy(stranger, "machine-0000000000000000"),
      await destroy(stranger, "%E0%A4%A"),
      await destroy(stranger, "..%2f..%2fv1"),
      await stack.callAsService({ method: "DELETE", path: "/machine-0000000000000000" }),
    ];
    for (const answer of answers) {
      assertError(answer, 404, "not_found");
      assert.equal(answer.body.error, answers[0]?.body.error);
    }
    assertError(await destroy(null, machineId), 401, "unauthorized");
    assert.equal((await stack.row(machineId)).status, "running");
    assert.equal(stack.liveMachines(machineId).length, 1);
  });

  await t.step("a machine that Fly.io no longer has", async () => {
    const { user, machineId } = await provision();
    simulator.killMachine(machineId);
    await until("it is gone", () => simulator.machine(machineId)?.state === "destroyed");
    // An unknown machine may only be invisible for now, so reconcile checks again.
    await assertDestroyed(stack, await destroy(user, machineId), machineId, "left to reconcile");
    await stack.makeDue(machineId);
    assert.equal((await stack.reconcile()).body.cleanedUp, 1);
  });

  await t.step(
    "until it is gone it is neither running for a replay nor offered for use",
    async () => {
      const user = await supabase.createUser();
      const headers = { "Idempotency-Key": crypto.randomUUID() };
      const { machine_id } = await assertProvisioned(
        stack,
        await stack.call(user, { body: {}, headers }),
      );
      simulator.addFault({
        match: { action: "delete" },
        times: "always",
        do: { kind: "status", status: 503, body: { error: "host unreachable" } },
      });
      assertError(await destroy(user, machine_id), 500, "fly_unavailable");
      const replayed = await stack.call(user, { body: {}, headers });
      assertError(replayed, 409, "machine_state_conflict");
      assert.equal(replayed.headers.get("retry-after"), "10");
      const another = await stack.call(user, { body: {} });
      assertError(another, 409, "machine_limit_reached", ["websocketUrl", "status"]);
      assert.deepEqual([another.body.status, another.body.websocketUrl], ["destroying", null]);
      assert.match(another.body.message, /is being destroyed/);
      simulator.clearFaults();
      assert.equal((await destroy(user, machine_id)).status, 200);
      await assertProvisioned(stack, await stack.call(user, { body: {} }));
    },
  );

  await t.step("a row in error", async () => {
    const user = await supabase.createUser();
    simulator.setCapacity("ams", false);
    const { machineId } = (await stack.call(user, { body: { region: "ams" } })).body;
    const answer = await destroy(user, machineId);
    assert.equal(answer.status, 200);
    const row = await stack.row(machineId);
    assert.deepEqual([row.status, row.error_code, row.error_message], ["destroyed", null, null]);
  });

  await t.step("while it is being provisioned", async () => {
    const user = await supabase.createUser();
    simulator.addFault({ match: { action: "create" }, do: { kind: "never-starts" } });
    const provisioning = stack.call(user, { body: {} });
    const machineId = await until("Fly.io has the machine", async () => {
      const [row] = await stack.rowsOf(user);
      return row?.fly_machine_id && row.machine_id;
    });
    const answer = await destroy(user, machineId);
    assert.equal(answer.status, 200);
    assertError(await provisioning, 500, "machine_failed");
    assert.equal((await stack.row(machineId)).status, "destroyed");
    assert.deepEqual(stack.liveMachines(machineId), []);
  });

  await t.step("while its create is about to be repeated: it is not repeated", async () => {
    const user = await supabase.createUser();
    const creates = () => simulator.requests().filter(({ action }) => action === "create").length;
    const before = creates();
    // The machine is created and the answer is lost; the look-up is slow, so the DELETE overtakes it.
    simulator.addFault({ match: { action: "create" }, do: { kind: "reset", when: "after" } });
    simulator.addFault({
      match: { action: "list" },
      do: { kind: "delay", ms: 2_000, when: "before" },
    });
    const provisioning = stack.call(user, { body: {} });
    const machineId = await until("the machine is looked for", async () => {
      const [row] = await stack.rowsOf(user);
      return simulator.pendingFaults().length === 0 && row?.machine_id;
    });
    assert.equal((await destroy(user, machineId)).status, 200);
    assertError(await provisioning, 500, "machine_failed");
    assert.equal((await stack.row(machineId)).status, "destroyed");
    assert.deepEqual(stack.liveMachines(machineId), []);
    assert.equal(creates() - before, 1);
  });

  await t.step("Fly.io is out: 500, and reconcile finishes it", async () => {
    const { user, machineId } = await provision();
    simulator.addFault({
      match: { action: "delete" },
      times: "always",
      do: { kind: "status", status: 503, body: { error: "unavailable" } },
    });
    const answer = await destroy(user, machineId);
    assertError(answer, 500, "fly_unavailable");
    assert.equal(answer.body.machineId, machineId);
    assert.match(answer.body.message, /it will be within minutes/);
    const event = await stack.fn.failure(answer.requestId);
    assert.equal(event["flyStatus"], 503);
    assert.ok(event["flyRequestId"]);
    const row = await stack.row(machineId);
    assert.equal(row.status, "running");
    assert.ok(row.destroy_requested_at && row.reconcile_at);
    simulator.clearFaults();

    await finishByReconcile(stack, machineId);
  });

  await t.step(
    "the database is out after Fly.io did it: 500, and reconcile finishes it",
    async () => {
      const { user, machineId } = await provision();
      supabase.addFault({
        match: { rpc: "mark_machine_destroyed" },
        times: 3,
        do: { kind: "reset", when: "before" },
      });
      assertError(await destroy(user, machineId), 500, "database_error");
      await finishByReconcile(stack, machineId);
    },
  );

  await t.step("the configuration is broken: 500, and the intent is kept", async () => {
    const { user, machineId } = await provision();
    await using fn = await stack.start({ FLY_API_TOKEN: undefined });
    const answer = await fn.call(user, { method: "DELETE", path: `/${machineId}` });
    assertError(answer, 500, "configuration_error");
    assert.equal(answer.body.machineId, machineId);
    await finishByReconcile(stack, machineId);
  });

  await t.step("a call whose answer is lost is repeated", async () => {
    for (const rpc of ["request_machine_destroy", "mark_machine_destroyed"]) {
      const { user, machineId } = await provision();
      supabase.addFault({ match: { rpc }, do: { kind: "reset", when: "after" } });
      simulator.addFault({ match: { action: "delete" }, do: { kind: "reset", when: "after" } });
      await assertDestroyed(stack, await destroy(user, machineId), machineId);
      const kinds = (await stack.historyOf(machineId)).map(({ kind }) => kind);
      assert.deepEqual(kinds.slice(-2), ["destroy_requested", "destroyed"]);
    }
  });
});

async function finishByReconcile(stack: Stack, machineId: string): Promise<void> {
  await stack.makeDue(machineId);
  const run = await stack.reconcile();
  assert.equal(run.status, 200);
  assert.equal(run.body.destroyed, 1, JSON.stringify(run.body));
  assert.equal((await stack.row(machineId)).status, "destroyed");
  assert.deepEqual(stack.liveMachines(machineId), []);
}

async function assertDestroyed(
  stack: Stack,
  answer: Answer,
  machineId: string,
  left: "nothing left" | "left to reconcile" = "nothing left",
): Promise<void> {
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  assert.deepEqual(answer.body, {
    machineId,
    status: "destroyed",
    message: "Machine destroyed",
    requestId: answer.requestId,
  });
  const row = await stack.row(machineId);
  assert.equal(row.status, "destroyed");
  assert.equal(row.reconcile_at !== null, left === "left to reconcile");
  assert.deepEqual(stack.liveMachines(machineId), []);
  const log = await stack.log(answer);
  assert.deepEqual(log.filter(({ level }) => level === "error"), []);
}
