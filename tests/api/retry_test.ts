/** `retry`: what the answer to a failure says about sending the request again is true. */
import assert from "node:assert/strict";
import { assertError, assertProvisioned } from "../support/expectations.ts";
import { type Stack, startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";

const key = (value: string) => ({ "idempotency-key": value });

/** Loses the answers of the calls that `which` finds, after they had their effect or before. */
function loseAnswers(
  stack: Stack,
  when: "after" | "before",
  which: (request: { service: string | null; method: string; rpc: string | null }) => boolean,
): () => void {
  return stack.supabase.onRequest((request) =>
    which(request) ? { kind: "reset", when } : undefined
  );
}

Deno.test("retry", async (t) => {
  await using stack = await startStack({ env: { PROVISION_TIMEOUT_SECONDS: "3" } });
  const { simulator } = stack;

  await t.step("the same key shows the outcome of a claim whose answer was lost", async () => {
    const user = await stack.supabase.createUser();
    const call = (value: string) => stack.call(user, { headers: key(value), body: {} });
    const restore = loseAnswers(stack, "after", ({ rpc }) => rpc === "claim_machine");
    const lost = await call("lost");
    restore();
    assertError(lost, 500, "database_error");
    assert.equal(lost.body.retry, "same_key");

    const [row] = await stack.rowsOf(user);
    assert.equal(row?.status, "provisioning");
    const open = await call("lost");
    assertError(open, 500, "provision_timeout");
    assert.deepEqual([open.body.retry, open.headers.get("retry-after")], ["same_key", "60"]);

    await stack.makeDue(row.machine_id);
    assert.equal((await stack.reconcile()).status, 200);
    const known = await call("lost");
    assertError(known, 500, "internal_error");
    assert.equal(known.body.retry, "new_key");
    await assertProvisioned(stack, await call("another"));
  });

  await t.step("the same key again once the database is back", async () => {
    const user = await stack.supabase.createUser();
    const call = () => stack.call(user, { headers: key("waiting"), body: {} });
    simulator.addFault({ match: { action: "create" }, do: { kind: "slow-start", ms: 1_500 } });
    const first = call();
    await until("the row is there", async () => (await stack.rowsOf(user)).length === 1);
    const restore = loseAnswers(
      stack,
      "before",
      ({ service, method }) => service === "rest" && method === "GET",
    );
    const waiting = await call();
    restore();
    assertError(waiting, 500, "database_error");
    assert.equal(waiting.body.retry, "same_key");
    await assertProvisioned(stack, await first);
    assert.equal((await call()).body.machineId, (await first).body.machineId);
  });

  await t.step("a failure that a later try may not meet: a new key, now and later", async () => {
    const user = await stack.supabase.createUser();
    simulator.addFault({
      match: { action: "create" },
      do: { kind: "status", status: 422, body: { error: "insufficient resources" } },
    });
    for (const _ of ["first", "again"]) {
      const answer = await stack.call(user, { headers: key("failed"), body: {} });
      assertError(answer, 500, "fly_capacity");
      assert.equal(answer.body.retry, "new_key");
    }
    await assertProvisioned(stack, await stack.call(user, { headers: key("later"), body: {} }));
  });

  await t.step("a failure that its operators have to cure: no, now and later", async () => {
    const user = await stack.supabase.createUser();
    await using fn = await stack.start({ FLY_API_TOKEN: undefined });
    for (const _ of ["first", "again"]) {
      const answer = await fn.call(user, { headers: key("broken"), body: {} });
      assertError(answer, 500, "configuration_error");
      assert.equal(answer.body.retry, "no");
      assert.doesNotMatch(answer.body.message, /new key/);
    }
  });
});
