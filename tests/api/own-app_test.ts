/** With FLY_ORG_SLUG every machine gets an app of its own, which is destroyed with it. */
import assert from "node:assert/strict";
import { assertError, assertFailedRow, assertProvisioned } from "../support/expectations.ts";
import { killWhile } from "../support/interruptions.ts";
import { assertRun } from "../support/reconcile-run.ts";
import { FLY_APP, type MachineRow, type Stack, startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";

const OWN_APP = { FLY_ORG_SLUG: "personal" };

async function provision(stack: Stack): Promise<MachineRow> {
  const user = await stack.supabase.createUser();
  return await assertProvisioned(stack, await stack.call(user, { body: {} }));
}

/** The live apps, without the one that exists from the start; a deletion is not instant. */
function apps(stack: Stack): string[] {
  const { world } = stack.simulator;
  return world.apps().filter(({ name, deletion }) => name !== FLY_APP && deletion === undefined)
    .map(({ name }) => name);
}

function addressTypes({ simulator: { world } }: Stack, appName: string): string[] {
  const { id = "" } = world.apps().find(({ name }) => name === appName) ?? {};
  // A repeated call can assign a second v6, which costs nothing.
  return [...new Set(world.addresses.of(id).map(({ type }) => type))].sort();
}

/** The calls that reached Fly.io since `from`: method and path without names and ids. */
function calls(stack: Stack, from: number): string[] {
  return stack.simulator.requests().slice(from).map(({ method, path }) =>
    `${method} ${
      path.replace(/\/v1/, "").replace(/apps\/[^/?]+/, "apps/{app}")
        .replace(/machines\/[0-9a-f]{14}/, "machines/{id}").replace(/\?.*/, "")
    }`
  );
}

Deno.test("an app for each machine", async (t) => {
  await using stack = await startStack({ env: OWN_APP });
  const { simulator } = stack;

  await t.step("app, network, addresses and machine have the machine's name", async () => {
    const row = await provision(stack);
    assert.equal(row.fly_app_name, row.machine_id);
    assert.match(row.machine_id, new RegExp(`^${FLY_APP}-[0-9a-f]{6}-[0-9a-z]{14}$`));
    assert.equal(row.websocket_url, `wss://${row.machine_id}.fly.dev`);
    const app = simulator.world.apps().find(({ name }) => name === row.machine_id);
    assert.deepEqual([app?.network, app?.organization], [row.machine_id, "personal"]);
    assert.equal(simulator.machine(row.machine_id)?.app, row.machine_id);
    assert.deepEqual(addressTypes(stack, row.machine_id), ["shared_v4", "v6"]);
  });

  await t.step("the answer says that a new name is not reachable at once", async () => {
    const { body } = await stack.call(await stack.supabase.createUser(), { body: {} });
    assert.match(body.message, /^Machine provisioned successfully; its address may take a minute/);
  });

  await t.step("no unnecessary call when a new app is known at once", async () => {
    const { newAppDelayMs } = simulator.world.settings;
    simulator.configure({ newAppDelayMs: 0 });
    const from = simulator.requests().length;
    await provision(stack);
    const [first, ...others] = calls(stack, from);
    assert.equal(first, "POST /apps");
    assert.deepEqual(others.sort(), [
      "GET /apps/{app}/machines/{id}/wait",
      "POST /apps/{app}/ip_assignments",
      "POST /apps/{app}/ip_assignments",
      "POST /apps/{app}/machines",
    ]);
    simulator.configure({ newAppDelayMs });
  });

  await t.step("DELETE removes the app with everything in it", async () => {
    const user = await stack.supabase.createUser();
    const { machine_id } = await assertProvisioned(stack, await stack.call(user, { body: {} }));
    const from = simulator.requests().length;
    const answer = await stack.call(user, { method: "DELETE", path: `/${machine_id}` });
    assert.equal(answer.status, 200);
    assert.deepEqual(calls(stack, from), ["GET /apps/{app}", "DELETE /apps/{app}"]);
    assert.ok(!apps(stack).includes(machine_id));
    assert.deepEqual(stack.liveMachines(machine_id), []);
  });

  await t.step("a failed create leaves no app behind", async () => {
    simulator.setCapacity("ams", false);
    const user = await stack.supabase.createUser();
    const answer = await stack.call(user, { body: { region: "ams" } });
    assertError(answer, 500, "fly_capacity");
    const row = await assertFailedRow(stack, answer);
    assert.ok(!apps(stack).includes(row.machine_id));
  });

  await t.step(
    "an address that cannot be assigned fails the request and leaves nothing",
    async () => {
      simulator.addFault({
        match: { action: "addresses", method: "POST" },
        times: "always",
        do: { kind: "status", status: 422, body: { error: "no addresses left" } },
      });
      const answer = await stack.call(await stack.supabase.createUser(), { body: {} });
      simulator.clearFaults();
      assertError(answer, 500, "fly_rejected");
      const row = await assertFailedRow(stack, answer);
      assert.ok(!apps(stack).includes(row.machine_id));
    },
  );

  await t.step("the app's answer is lost, before and after: one app, one machine", async () => {
    for (const when of ["before", "after"] as const) {
      simulator.addFault({
        match: { action: "app", method: "POST" },
        do: { kind: "reset", when },
      });
      const { machine_id } = await provision(stack);
      assert.equal(apps(stack).filter((name) => name === machine_id).length, 1);
      assert.equal(stack.liveMachines(machine_id).length, 1);
    }
  });

  await t.step("the answer to an address is lost: the app is reachable nevertheless", async () => {
    simulator.addFault({
      match: { action: "addresses", method: "POST" },
      do: { kind: "reset", when: "after" },
    });
    const { machine_id } = await provision(stack);
    assert.deepEqual(addressTypes(stack, machine_id), ["shared_v4", "v6"]);
  });

  await t.step("the function was killed: reconcile destroys the app", async () => {
    simulator.addFault({
      match: { action: "create" },
      times: "always",
      do: { kind: "never-starts" },
    });
    const { row } = await killWhile(stack, (row) => row.fly_machine_id !== null);
    simulator.clearFaults();
    await stack.makeDue(row.machine_id);
    const { body } = await stack.reconcile();
    assert.equal(body.interrupted, 1, JSON.stringify(body));
    assert.ok(!apps(stack).includes(row.machine_id));
  });
});

Deno.test("behind a router machines have no address of their own", async () => {
  await using stack = await startStack({
    env: { ...OWN_APP, FLY_ROUTER_URL: "wss://router.example.com/" },
  });
  const row = await provision(stack);
  assert.equal(row.websocket_url, `wss://router.example.com/${row.machine_id}`);
  assert.deepEqual(stack.simulator.world.addresses.all(), []);
});

Deno.test("reconcile compares apps with rows", async (t) => {
  await using stack = await startStack({ env: OWN_APP });
  const { simulator, supabase } = stack;
  const [{ tag } = { tag: "" }] = await supabase.sql<{ tag: string }>(
    "select tag from installation",
  );
  const nameOf = (n: number) => `${FLY_APP}-${tag}-${String(n).padStart(14, "0")}`;
  // New apps are listed at once: their delay has tests of its own.
  simulator.configure({ newAppListDelayMs: 0, newAppDelayMs: 0 });

  await t.step("an app of ours without a row: destroyed at the second sighting", async () => {
    const { name } = simulator.addApp(nameOf(1), "personal", nameOf(1));
    await assertRun(stack, { suspected: 1 });
    await stack.ageSightings();
    await assertRun(stack, { orphansDestroyed: 1 });
    await until("it is gone", () => !simulator.world.apps().some((app) => app.name === name));
  });

  await t.step("what is not ours is never touched", async () => {
    // With our name in another organisation, on another network; and with another tag.
    simulator.addApp(nameOf(2), "another-organisation", nameOf(2));
    simulator.addApp(nameOf(3), "personal", "default");
    simulator.addApp(`${FLY_APP}-ffffff-00000000000000`, "personal");
    for (let run = 0; run < 3; run++) {
      await assertRun(stack, {});
      await stack.ageSightings();
    }
    assert.ok(apps(stack).includes(nameOf(2)) && apps(stack).includes(nameOf(3)));
  });

  await t.step("an app that was deleted behind our back: lost at the second sighting", async () => {
    const { machine_id } = await provision(stack);
    await assertRun(stack, {});
    const app = simulator.world.apps().find(({ name }) => name === machine_id);
    assert.ok(app);
    simulator.world.deleteApp(app);
    await until("it is gone", () => !simulator.world.apps().includes(app));
    await assertRun(stack, { suspected: 1 });
    await stack.ageSightings();
    await assertRun(stack, { lost: 1 });
    assert.equal((await stack.row(machine_id)).error_code, "machine_lost");
  });

  await t.step("a region without an answer proves nothing", async () => {
    const { machine_id } = await provision(stack);
    for (let run = 0; run < 3; run++) {
      simulator.addFault({
        match: { action: "organization-machines" },
        do: { kind: "status", status: 200, body: { machines: [], error_regions: ["iad"] } },
      });
      await assertRun(stack, { failed: 1 });
      await stack.ageSightings();
    }
    assert.equal((await stack.row(machine_id)).status, "running");
  });
});

Deno.test("the function was killed before the app was made: the row is closed", async () => {
  await using stack = await startStack({ env: OWN_APP });
  stack.simulator.addFault({
    match: { action: "app", method: "POST" },
    do: { kind: "hang", when: "before" },
  });
  const { row } = await killWhile(stack, ({ status }) => status === "provisioning");
  await stack.makeDue(row.machine_id);
  await assertRun(stack, { interrupted: 1 });
  assert.equal((await stack.row(row.machine_id)).error_code, "interrupted");
});
