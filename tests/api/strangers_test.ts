/**
 * Names of apps are one namespace for all of Fly.io: a stranger's app may have the name of a machine
 * of ours, and even a network of that name. It is never adopted, used or destroyed.
 */
import assert from "node:assert/strict";
import { systemClock } from "../../dev/stack/fly/mod.ts";
import { assertProvisioned } from "../support/expectations.ts";
import { killWhile } from "../support/interruptions.ts";
import { assertRun } from "../support/reconcile-run.ts";
import { FLY_TOKEN, type Stack, startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";

const OWN_APP = { FLY_ORG_SLUG: "personal" };
const STRANGERS = "strangers";
/** A person's own token reaches every organisation of theirs. */
const REACHES_STRANGERS = { tokens: [FLY_TOKEN, { token: FLY_TOKEN, organization: STRANGERS }] };

/** An app of strangers with this name, on a network of this name, with a machine that runs. */
async function addStrangersApp(stack: Stack, app: string, machine = "theirs"): Promise<void> {
  stack.simulator.addApp(app, STRANGERS, app);
  const token = "strangers-token";
  stack.simulator.setToken({ token, organization: STRANGERS });
  const response = await fetch(`${stack.fly.url}/v1/apps/${app}/machines`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ name: machine, config: { image: "an/image" } }),
  });
  assert.equal(response.status, 200, await response.text());
  await until("it runs", () => machineOf(stack, app)?.state === "started");
}

function machineOf({ simulator }: Stack, app: string) {
  return simulator.machines().find((machine) => machine.app === app && machine.live);
}

function organizationOf({ simulator: { world } }: Stack, app: string): string | undefined {
  return world.app(app)?.organization;
}

Deno.test("an app is ours by organisation, network and name together", async (t) => {
  await using stack = await startStack({ env: OWN_APP, fly: REACHES_STRANGERS });
  const { simulator } = stack;

  await t.step("DELETE does not destroy a stranger's app with our names", async () => {
    const user = await stack.supabase.createUser();
    const { machine_id } = await assertProvisioned(stack, await stack.call(user, { body: {} }));
    const app = simulator.world.app(machine_id);
    assert.ok(app);
    simulator.world.deleteApp(app);
    await until("it is gone", () => simulator.world.app(machine_id) === undefined);
    await addStrangersApp(stack, machine_id);
    const answer = await stack.call(user, { method: "DELETE", path: `/${machine_id}` });
    assert.equal(answer.status, 200);
    await stack.makeDue(machine_id);
    await stack.reconcile();
    assert.equal(organizationOf(stack, machine_id), STRANGERS);
    assert.equal(machineOf(stack, machine_id)?.state, "started");
  });

  await t.step("reconcile does not adopt a stranger's machine with our name", async () => {
    simulator.addFault({
      match: { action: "app", method: "POST" },
      do: { kind: "hang", when: "before" },
    });
    const { row } = await killWhile(stack, ({ status }) => status === "provisioning");
    await addStrangersApp(stack, row.machine_id, row.machine_id);
    await stack.makeDue(row.machine_id);
    await assertRun(stack, { interrupted: 1 });
    await stack.makeDue(row.machine_id);
    await assertRun(stack, { cleanedUp: 1 });
    const { error_code, fly_machine_id } = await stack.row(row.machine_id);
    assert.deepEqual([error_code, fly_machine_id], ["interrupted", null]);
    assert.equal(machineOf(stack, row.machine_id)?.state, "started");
    // The stack checks at its end that no machine with a row's name is left.
    simulator.killMachine(row.machine_id);
  });
});

Deno.test("an adopted machine's app is known as ours afterwards", async () => {
  // Made an hour ago, so that no request can still be at work on it.
  let offsetMs = -3_600_000;
  const clock = { now: () => systemClock.now() + offsetMs, sleep: systemClock.sleep };
  await using stack = await startStack({ env: OWN_APP, fly: { clock } });
  const user = await stack.supabase.createUser();
  const { machine_id } = await assertProvisioned(stack, await stack.call(user, { body: {} }));
  offsetMs = 0;
  // As after a restored backup that is older than the machine.
  await stack.supabase.sql("delete from cloud_machines");
  await assertRun(stack, { adopted: 1 }, { orphans: "adopt" });
  const answer = await stack.call(user, { method: "DELETE", path: `/${machine_id}` });
  assert.equal(answer.status, 200);
  assert.equal(machineOf(stack, machine_id), undefined);
});
