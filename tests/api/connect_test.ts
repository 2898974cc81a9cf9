/** POST /provision-machine/{machineId}/connect: who gets a token, and when it is refused. */
import assert from "node:assert/strict";
import type { LocalUser } from "../../dev/stack/supabase/mod.ts";
import { assertConnection } from "../support/connection.ts";
import { assertError, assertProvisioned } from "../support/expectations.ts";
import { type Answer, startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";

Deno.test("connecting to a machine", async (t) => {
  await using stack = await startStack();
  const { simulator, supabase } = stack;
  const provision = async () => {
    const user = await supabase.createUser();
    return { user, row: await assertProvisioned(stack, await stack.call(user, { body: {} })) };
  };
  const connect = (user: LocalUser | null, machineId: string) =>
    stack.call(user, { path: `/${machineId}/connect` });

  await t.step("the owner gets a token that the machine accepts, for a minute", async () => {
    const { user, row } = await provision();
    simulator.clearRequests();
    const before = Date.now();
    const answer = await connect(user, row.machine_id);
    const after = Date.now();
    await assertConnection(stack, answer, row.machine_id);
    const { body, headers } = answer;
    assert.deepEqual([body.websocketUrl, body.status], [row.websocket_url, "running"]);
    assert.equal(headers.get("cache-control"), "no-store");
    const expiresAt = Date.parse(body.expiresAt);
    assert.ok(expiresAt > before + 59_000 && expiresAt <= after + 60_000, body.expiresAt);
    assert.deepEqual(simulator.requests(), [], "Fly.io was called");
  });

  await t.step("a service gets a token for the owner", async () => {
    const { row } = await provision();
    const answer = await stack.callAsService({ path: `/${row.machine_id}/connect` });
    await assertConnection(stack, answer, row.machine_id);
  });

  await t.step("through the gateway, with a slash at the end, twice", async () => {
    const { user, row } = await provision();
    for (const end of ["", "/"]) {
      const response = await fetch(
        `${supabase.url}/functions/v1/provision-machine/${row.machine_id}/connect${end}`,
        {
          method: "POST",
          headers: { authorization: `Bearer ${user.accessToken}`, apikey: supabase.publishableKey },
        },
      );
      assert.equal(response.status, 200);
      stack.secrets.add("a connect token", (await response.json()).token);
    }
  });

  await t.step("404 for anyone else, as if there were none", async () => {
    const { row } = await provision();
    const stranger = await supabase.createUser();
    const answers = [
      await connect(stranger, row.machine_id),
      await connect(stranger, "machine-0000000000000000"),
      await connect(stranger, "health"),
      await connect(stranger, "%00"),
      await connect(stranger, "%E0%A4%A"),
      await connect(stranger, encodeURIComponent(`${row.machine_id}","x`)),
      await stack.callAsService({ path: "/machine-0000000000000000/connect" }),
    ];
    for (const answer of answers) {
      assertError(answer, 404, "not_found");
      assert.deepEqual(
        [answer.body.error, answer.body.message, answer.body.machineId],
        [answers[0]?.body.error, answers[0]?.body.message, null],
      );
    }
    assertError(await connect(null, row.machine_id), 401, "unauthorized");
    assertError(
      await stack.call(stranger, { method: "DELETE", path: `/${row.machine_id}/connect` }),
      405,
      "method_not_allowed",
    );
  });

  await t.step("409 while it is being provisioned, with Retry-After", async () => {
    const user = await supabase.createUser();
    simulator.addFault({ match: { action: "create" }, do: { kind: "never-starts" } });
    const provisioning = stack.call(user, { body: {} });
    const machineId = await until("Fly.io has the machine", async () => {
      const [row] = await stack.rowsOf(user);
      return row?.fly_machine_id && row.machine_id;
    });
    assertConflict(await connect(user, machineId), machineId, /still being provisioned/, "5");
    await stack.call(user, { method: "DELETE", path: `/${machineId}` });
    await provisioning;
    assertConflict(await connect(user, machineId), machineId, /was destroyed/, null);
  });

  await t.step("409 from the moment at which its owner destroys it", async () => {
    const { user, row: { machine_id: machineId } } = await provision();
    simulator.addFault({
      match: { action: "delete" },
      times: "always",
      do: { kind: "status", status: 503, body: { error: "unavailable" } },
    });
    assert.equal((await stack.call(user, { method: "DELETE", path: `/${machineId}` })).status, 500);
    assert.equal((await stack.row(machineId)).status, "running");
    assertConflict(await connect(user, machineId), machineId, /is being destroyed/, "5");
    simulator.clearFaults();
    await stack.call(user, { method: "DELETE", path: `/${machineId}` });
    assertConflict(await connect(user, machineId), machineId, /was destroyed/, null);
  });

  await t.step("409 once its owner was deleted", async () => {
    const { user, row: { machine_id: machineId } } = await provision();
    await supabase.sql("delete from auth.users where id = $1", [user.id]);
    const answer = await stack.callAsService({ path: `/${machineId}/connect` });
    assertConflict(answer, machineId, /is being destroyed/, "5");
    await stack.callAsService({ method: "DELETE", path: `/${machineId}` });
  });

  await t.step("409 if it failed, and its code", async () => {
    const user = await supabase.createUser();
    simulator.setCapacity("ams", false);
    const { machineId } = (await stack.call(user, { body: { region: "ams" } })).body;
    assertConflict(await connect(user, machineId), machineId, /failed \(fly_capacity\)/, null);
  });

  await t.step("the log has two events, and no token", async () => {
    const { user, row } = await provision();
    const answer = await connect(user, row.machine_id);
    await assertConnection(stack, answer, row.machine_id);
    const events = await stack.log(answer);
    assert.deepEqual(events.map(({ message }) => message), [
      "provision-machine invoked",
      "provision-machine finished: succeeded (HTTP 200)",
    ]);
    assert.deepEqual([events[1]?.machineId, events[1]?.userId], [row.machine_id, user.id]);
    stack.secrets.assertAbsent(JSON.stringify(events), "the log");
  });

  await t.step("the database is out: 500, and no alert about provisioning", async () => {
    const { user, row } = await provision();
    supabase.setOutage({ services: ["rest"] });
    const answer = await connect(user, row.machine_id);
    supabase.setOutage(false);
    assertError(answer, 500, "database_error");
    assert.match((await stack.fn.failure(answer.requestId)).message, /^❌ Request failed/);
  });
});

function assertConflict(
  answer: Answer,
  machineId: string,
  error: RegExp,
  retryAfter: string | null,
): void {
  assertError(answer, 409, "machine_state_conflict");
  assert.match(answer.body.error, error);
  assert.equal(answer.body.machineId, machineId);
  assert.equal(answer.headers.get("retry-after"), retryAfter);
  assert.match(answer.body.message, retryAfter === null ? /^Provision another/ : /once|shortly/);
}
