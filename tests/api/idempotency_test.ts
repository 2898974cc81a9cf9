/** Idempotency-Key and the limit of machines: at most one machine, however often it is requested. */
import assert from "node:assert/strict";
import { assertError, assertProvisioned, assertSuccess } from "../support/expectations.ts";
import { type Answer, type Stack, startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";

const key = (key: string) => ({ "idempotency-key": key });

Deno.test("Idempotency-Key", async (t) => {
  await using stack = await startStack();
  const { simulator } = stack;

  await t.step(
    "the same key again gives the same machine, and no second call to Fly.io",
    async () => {
      const user = await stack.supabase.createUser();
      const first = await stack.call(user, { headers: key("order-42"), body: {} });
      await assertProvisioned(stack, first);
      assert.equal(first.headers.get("idempotency-replayed"), null);
      simulator.clearRequests();
      for (const body of [{}, { cpuPriority: "normal" }, { userId: user.id }]) {
        const again = await stack.call(user, { headers: key("order-42"), body });
        assertSuccess(again, 200, "running");
        assert.equal(again.headers.get("idempotency-replayed"), "true");
        assert.deepEqual(again.body, { ...first.body, requestId: again.requestId });
      }
      assert.deepEqual(simulator.requests(), []);
      assert.equal((await stack.rowsOf(user)).length, 1);
    },
  );

  await t.step("a service that repeats the user's request gets the user's machine", async () => {
    const user = await stack.supabase.createUser();
    const first = await stack.call(user, { headers: key("shared"), body: {} });
    const again = await stack.callAsService({ headers: key("shared"), body: { userId: user.id } });
    assertSuccess(again, 200, "running");
    assert.equal(again.body.machineId, first.body.machineId);
  });

  await t.step("the same key with another body is 422", async () => {
    const user = await stack.supabase.createUser();
    const first = await stack.call(user, { headers: key("k"), body: { region: "iad" } });
    for (const body of [{ region: "ams" }, { region: "iad", cpuPriority: "low" }]) {
      const other = await stack.call(user, { headers: key("k"), body });
      assertError(other, 422, "idempotency_key_reused");
      assert.equal(other.body.machineId, first.body.machineId);
    }
    assert.equal((await stack.rowsOf(user)).length, 1);
  });

  await t.step("the same key of two users is two machines", async () => {
    const machines = await Promise.all([1, 2].map(async () => {
      const user = await stack.supabase.createUser();
      const answer = await stack.call(user, { headers: key("mine"), body: {} });
      return (await assertProvisioned(stack, answer)).machine_id;
    }));
    assert.equal(new Set(machines).size, 2);
  });

  await t.step("20 calls at once with one key are one machine", async () => {
    const user = await stack.supabase.createUser();
    simulator.clearRequests();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => stack.call(user, { headers: key("burst"), body: {} })),
    );
    for (const answer of answers) assertSuccess(answer, 200, "running");
    assert.equal(new Set(answers.map(({ body }) => body.machineId)).size, 1);
    const replayed = answers.filter(({ headers }) => headers.has("idempotency-replayed"));
    assert.equal(replayed.length, 19);
    const asked = simulator.requests().map(({ action }) => action);
    assert.deepEqual(asked, ["create", "wait"]);
    assert.equal((await stack.rowsOf(user)).length, 1);
  });

  await t.step("a failure is answered again unchanged", async () => {
    const user = await stack.supabase.createUser();
    simulator.addFault({
      match: { action: "create" },
      do: { kind: "status", status: 422, body: { error: "invalid config.image" } },
    });
    const first = await stack.call(user, { headers: key("doomed"), body: {} });
    assertError(first, 500, "fly_rejected");
    simulator.clearRequests();
    const again = await stack.call(user, { headers: key("doomed"), body: {} });
    assertError(again, 500, "fly_rejected");
    assert.equal(again.headers.get("idempotency-replayed"), "true");
    assert.equal(again.body.error, first.body.error);
    assert.equal(again.body.machineId, first.body.machineId);
    assert.deepEqual(simulator.requests(), []);
    const fresh = await stack.call(user, { headers: key("another"), body: {} });
    await assertProvisioned(stack, fresh);
  });

  await t.step("a second call that waits for the first gets the same failure", async () => {
    const user = await stack.supabase.createUser();
    simulator.addFault({
      match: { action: "create" },
      do: { kind: "fails", state: "failed", reason: "no such command" },
    });
    const first = stack.call(user, { headers: key("both"), body: {} });
    await until("the row is there", async () => (await stack.rowsOf(user)).length === 1);
    const waiting = await stack.call(user, { headers: key("both"), body: {} });
    assertError(waiting, 500, "machine_failed");
    assert.equal(waiting.headers.get("idempotency-replayed"), "true");
    assertError(await first, 500, "machine_failed");
  });

  await t.step("the key of a destroyed machine does not create another", async () => {
    const user = await stack.supabase.createUser();
    const first = await stack.call(user, { headers: key("gone"), body: {} });
    const path = `/${first.body.machineId}`;
    assert.equal((await stack.call(user, { method: "DELETE", path })).status, 200);
    simulator.clearRequests();
    const again = await stack.call(user, { headers: key("gone"), body: {} });
    assertError(again, 422, "idempotency_key_reused");
    assert.equal(again.body.machineId, first.body.machineId);
    assert.deepEqual(simulator.requests(), []);
  });

  await t.step("valid keys", async () => {
    for (const good of ["!", "~", "k".repeat(255), `"a-z,0-9;'%\\`]) {
      const user = await stack.supabase.createUser();
      const answer = await stack.call(user, { headers: key(good), body: {} });
      assert.equal((await assertProvisioned(stack, answer)).idempotency_key, good);
    }
  });

  await t.step("invalid keys", async () => {
    const user = await stack.supabase.createUser();
    for (const bad of ["", "two words", "k".repeat(256), "schl\u00fcssel", "tab\tbed"]) {
      const answer = await stack.call(user, { headers: key(bad), body: {} });
      assertError(answer, 400, "invalid_request", ["issues"]);
      assert.equal(answer.body.issues[0].path, "Idempotency-Key");
    }
    assert.deepEqual(await stack.rowsOf(user), []);
  });
});

Deno.test("the limit of machines per user", async (t) => {
  await using stack = await startStack();

  await t.step("a double click is one machine", async () => {
    const user = await stack.supabase.createUser();
    const answers = await Promise.all([1, 2].map(() => stack.call(user, { body: {} })));
    await assertOneOf(stack, answers, 1);
  });

  await t.step("ten calls at once with a limit of three are three machines", async () => {
    await using fn = await stack.start({ MAX_MACHINES_PER_USER: "3" });
    const user = await stack.supabase.createUser();
    const calls = Array.from({ length: 10 }, () => fn.call(user, { body: {} }));
    await assertOneOf(stack, await Promise.all(calls), 3);
  });

  await t.step("a failure and a destroyed machine do not count", async () => {
    const user = await stack.supabase.createUser();
    stack.simulator.setCapacity("iad", false);
    assertError(await stack.call(user, { body: {} }), 500, "fly_capacity");
    stack.simulator.setCapacity("iad", true);
    const first = await stack.call(user, { body: {} });
    await assertProvisioned(stack, first);
    const path = `/${first.body.machineId}`;
    assert.equal((await stack.call(user, { method: "DELETE", path })).status, 200);
    await assertProvisioned(stack, await stack.call(user, { body: {} }));
  });

  await t.step("each user has a limit of their own", async () => {
    for (let n = 0; n < 2; n++) {
      const user = await stack.supabase.createUser();
      await assertProvisioned(stack, await stack.call(user, { body: {} }));
    }
  });
});

/** Asserts that the allowed number of calls succeeded, and that the others name such a machine. */
async function assertOneOf(stack: Stack, answers: Answer[], limit: number): Promise<void> {
  const succeeded = answers.filter(({ status }) => status === 200);
  assert.equal(succeeded.length, limit);
  for (const answer of succeeded) await assertProvisioned(stack, answer);
  const machines = succeeded.map(({ body }) => body.machineId);
  assert.equal(new Set(machines).size, limit);
  for (const answer of answers.filter(({ status }) => status !== 200)) {
    assertError(answer, 409, "machine_limit_reached", ["websocketUrl", "status"]);
    assert.ok(machines.includes(answer.body.machineId));
    assert.ok(["provisioning", "running"].includes(answer.body.status));
  }
}
