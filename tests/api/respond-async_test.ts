/** `Prefer: respond-async`: the answer goes out first, the machine follows. */
import assert from "node:assert/strict";
import { assertError, assertSuccess } from "../support/expectations.ts";
import { isSummary } from "../invariants/log-events.ts";
import { startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";

const ASYNC = { prefer: "respond-async" };

Deno.test("Prefer: respond-async", async (t) => {
  await using stack = await startStack();

  await t.step("202 at once, then the row becomes running", async () => {
    const user = await stack.supabase.createUser();
    const answer = await stack.call(user, { headers: ASYNC, body: {} });
    assertSuccess(answer, 202, "provisioning");
    assert.equal(answer.headers.get("preference-applied"), "respond-async");
    const { machineId } = answer.body;
    const row = await until("the row is running", async () => {
      const row = await stack.row(machineId);
      return row.status === "running" && row;
    });
    assert.equal(row.websocket_url, answer.body.websocketUrl);
    assert.deepEqual(stack.liveMachines(machineId), [row.fly_machine_id]);
    const log = await stack.log(answer);
    const summary = log.at(-1);
    assert.ok(summary && isSummary(summary));
    assert.deepEqual([summary["status"], summary["outcome"]], [202, "running"]);
    assert.ok(log.length <= 6);
  });

  await t.step(
    "a failure after the answer marks the row and is logged; summary last",
    async () => {
      const user = await stack.supabase.createUser();
      stack.simulator.setCapacity("ams", false);
      const answer = await stack.call(user, { headers: ASYNC, body: { region: "ams" } });
      assertSuccess(answer, 202, "provisioning");
      const row = await until("the row says error", async () => {
        const row = await stack.row(answer.body.machineId);
        return row.status === "error" && row;
      });
      assert.equal(row.error_code, "fly_capacity");
      const log = await stack.log(answer);
      const failure = await until(
        "the failure is logged",
        () => stack.fn.events(answer.requestId).find(({ level }) => level === "error"),
      );
      assert.match(failure.message, /^❌ Fly\.io provisioning failed: /);
      assert.equal(failure["machineId"], row.machine_id);
      const summary = log.at(-1);
      assert.ok(summary && isSummary(summary));
      assert.deepEqual(
        [summary["status"], summary["outcome"], summary["code"]],
        [202, "failed", "fly_capacity"],
      );
    },
  );

  await t.step("what can be decided at once is answered at once", async () => {
    const user = await stack.supabase.createUser();
    const headers = ASYNC;
    assertError(
      await stack.call(user, { headers, body: { region: "x" } }),
      400,
      "invalid_request",
      ["issues"],
    );
    const first = await stack.call(user, { headers, body: {} });
    assertSuccess(first, 202, "provisioning");
    const second = await stack.call(user, { headers, body: {} });
    assertError(second, 409, "machine_limit_reached", ["websocketUrl", "status"]);
    assert.equal(second.body.machineId, first.body.machineId);
    await stack.log(first);
  });

  await t.step("with an Idempotency-Key the same call reads the state", async () => {
    const user = await stack.supabase.createUser();
    const headers = { ...ASYNC, "idempotency-key": "poll" };
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    stack.supabase.addFault({
      match: { rpc: "mark_machine_running" },
      do: { kind: "hold", until: released },
    });
    const first = await stack.call(user, { headers, body: {} });
    assertSuccess(first, 202, "provisioning");
    const again = await stack.call(user, { headers, body: {} });
    assertSuccess(again, 202, "provisioning");
    assert.equal(again.headers.get("idempotency-replayed"), "true");
    release();
    const last = await until("the answer says running", async () => {
      const answer = await stack.call(user, { headers, body: {} });
      return answer.status === 200 && answer;
    });
    assertSuccess(last, 200, "running");
    assert.equal(last.body.machineId, first.body.machineId);
    assert.equal(stack.simulator.createBodiesOf(first.body.machineId).length, 1);
  });

  await t.step("among other preferences, in any case, with parameters", async () => {
    for (const prefer of ["wait=10, Respond-Async", "respond-async; foo=bar", "a,respond-async"]) {
      const user = await stack.supabase.createUser();
      const answer = await stack.call(user, { headers: { prefer }, body: {} });
      assertSuccess(answer, 202, "provisioning");
      await stack.log(answer);
    }
    const user = await stack.supabase.createUser();
    const answer = await stack.call(user, { headers: { prefer: "return=minimal" }, body: {} });
    assertSuccess(answer, 200, "running");
    assert.equal(answer.headers.get("preference-applied"), null);
  });
});
