/** The address of a machine, from WEBSOCKET_URL_TEMPLATE. */
import assert from "node:assert/strict";
import { systemClock } from "../../dev/stack/fly/mod.ts";
import { assertError, assertProvisioned } from "../support/expectations.ts";
import { killWhileWaiting } from "../support/interruptions.ts";
import { assertRun } from "../support/reconcile-run.ts";
import { startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";

const TEMPLATE = "wss://{app}.example.com/{machineId}/{flyMachineId}";

Deno.test("an address with Fly.io's id in it", async (t) => {
  let offsetMs = 0;
  const clock = { now: () => systemClock.now() + offsetMs, sleep: systemClock.sleep };
  await using stack = await startStack({
    env: { WEBSOCKET_URL_TEMPLATE: TEMPLATE },
    fly: { clock },
  });
  const { simulator, supabase } = stack;
  const addressOf = (name: string) =>
    `wss://test-app.example.com/${name}/${simulator.machine(name)?.id}`;

  await t.step("is in the answer and in the row", async () => {
    const user = await supabase.createUser();
    const answer = await stack.call(user, { body: {} });
    const { machine_id, websocket_url } = await assertProvisioned(stack, answer);
    assert.equal(answer.body.websocketUrl, addressOf(machine_id));
    assert.equal(websocket_url, addressOf(machine_id));
    const connected = await stack.call(user, { path: `/${machine_id}/connect` });
    assert.equal(connected.body.websocketUrl, addressOf(machine_id));
  });

  await t.step("is null until the id is known, and complete from then on", async () => {
    simulator.addFault({ match: { action: "create" }, do: { kind: "slow-start", ms: 2_000 } });
    simulator.addFault({
      match: { action: "create" },
      do: { kind: "delay", ms: 1_000, when: "before" },
    });
    const user = await supabase.createUser();
    const headers = { prefer: "respond-async" };
    const accepted = await stack.call(user, { body: {}, headers });
    assert.deepEqual([accepted.status, accepted.body.websocketUrl], [202, null]);
    const refused = await stack.call(user, { body: {} });
    assertError(refused, 409, "machine_limit_reached", ["websocketUrl", "status"]);
    assert.equal(refused.body.websocketUrl, null);
    const { machineId } = accepted.body;
    const recorded = await until("the id is known", async () => {
      const row = await stack.row(machineId);
      return row.fly_machine_id !== null && row;
    });
    assert.equal(recorded.status, "provisioning");
    assert.equal(recorded.websocket_url, addressOf(machineId));
    await until("it runs", async () => (await stack.row(machineId)).status === "running");
  });

  await t.step("is complete when reconcile adopts the machine", async () => {
    simulator.addFault({ match: { action: "create" }, do: { kind: "slow-start", ms: 1_500 } });
    const { row: { machine_id } } = await killWhileWaiting(stack);
    await supabase.sql("update cloud_machines set fly_machine_id = null where machine_id = $1", [
      machine_id,
    ]);
    assert.equal((await stack.row(machine_id)).websocket_url, null);
    await until("it has started", () => simulator.machine(machine_id)?.state === "started");
    await stack.makeDue(machine_id);
    await assertRun(stack, { adopted: 1 });
    assert.equal((await stack.row(machine_id)).websocket_url, addressOf(machine_id));
  });

  await t.step("is complete when the row is written again after a restored backup", async () => {
    offsetMs = -3_600_000;
    const answer = await stack.call(await supabase.createUser(), { body: {} });
    const { machine_id } = await assertProvisioned(stack, answer);
    offsetMs = 0;
    await supabase.sql("delete from cloud_machines where machine_id = $1", [machine_id]);
    await assertRun(stack, { adopted: 1 }, { orphans: "adopt" });
    assert.equal((await stack.row(machine_id)).websocket_url, addressOf(machine_id));
  });
});
