/**
 * Whose machine is it? No healthy machine is destroyed, and no row written off, because of one wrong
 * answer, rewritten metadata, another stack, or a restored or copied database.
 */
import assert from "node:assert/strict";
import { systemClock } from "../../dev/stack/fly/mod.ts";
import { assertError, assertProvisioned } from "../support/expectations.ts";
import { createAtFly } from "../support/interruptions.ts";
import { assertRun } from "../support/reconcile-run.ts";
import { FLY_APP, FLY_TOKEN, type Stack, startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";
import { Webhook } from "../support/webhook.ts";

const HOUR_MS = 3_600_000;

/** A stack on whose Fly.io a test can create machines that are already old. */
async function startWorld(env: Record<string, string> = {}) {
  let offsetMs = 0;
  const clock = { now: () => systemClock.now() + offsetMs, sleep: systemClock.sleep };
  const stack = await startStack({ fly: { clock }, env });
  const [row] = await stack.supabase.sql<{ tag: string }>("select tag from installation");
  const tag = row?.tag ?? "";
  return {
    stack,
    /** A name as this database makes them. */
    ourName: (n: number) => `machine-${tag}-${String(n).padStart(14, "0")}`,
    async make(name: string, config: Record<string, unknown> = {}, ageMs = HOUR_MS) {
      offsetMs = -ageMs;
      await createAtFly(stack, name, config);
      offsetMs = 0;
    },
    [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
  };
}

async function provision(stack: Stack) {
  const user = await stack.supabase.createUser();
  return await assertProvisioned(stack, await stack.call(user, { body: {} }));
}

Deno.test("machines without a live row", async (t) => {
  await using world = await startWorld();
  const { stack, ourName, make } = world;
  const { simulator } = stack;

  await t.step(
    "ours by name, whatever its metadata: destroyed at the second sighting",
    async () => {
      await make(ourName(1), { metadata: { managed_by: "another-tool" } });
      await make(ourName(2));
      await assertRun(stack, { suspected: 2 });
      await assertRun(stack, { suspected: 2 });
      await stack.ageSightings();
      await assertRun(stack, { orphansDestroyed: 2 });
      assert.deepEqual([1, 2].map((n) => simulator.machine(ourName(n))?.live), [false, false]);
    },
  );

  await t.step("ours but new: its request may still be at work", async () => {
    await make(ourName(3), {}, 1_000);
    await assertRun(stack, {});
    simulator.killMachine(ourName(3));
  });

  await t.step("with a name that is not ours: never touched, whatever its metadata", async () => {
    const metadata = {
      managed_by: "provision-machine",
      supabase_project: new URL(stack.supabase.url).host,
      cloud_machine_id: crypto.randomUUID(),
    };
    const names = ["theirs", "machine-0123456789abcdef", "machine-ffffff-00000000000000"];
    for (const name of names) await make(name, { metadata });
    await assertRun(stack, {});
    await stack.ageSightings();
    await assertRun(stack, {});
    for (const name of names) assert.equal(simulator.machine(name)?.live, true, name);
  });

  await t.step("an element of the list that cannot be read hides no other machine", async () => {
    await make(ourName(4));
    await assertRun(stack, { suspected: 1 });
    await stack.ageSightings();
    const list = await listAtFly(stack);
    simulator.addFault({
      match: { action: "list" },
      do: { kind: "status", status: 200, body: [{ id: "odd", region: null }, ...list] },
    });
    await assertRun(stack, { orphansDestroyed: 1, failed: 1 });
  });
});

Deno.test("root in a machine rewrites metadata: no machine is destroyed", async () => {
  await using world = await startWorld();
  const { stack } = world;
  const { machine_id, fly_machine_id } = await provision(stack);
  const url = `${stack.fly.url}/v1/apps/${FLY_APP}/machines/${fly_machine_id}/metadata`;
  const headers = { authorization: `Bearer ${FLY_TOKEN}`, "content-type": "application/json" };
  for (const key of ["cloud_machine_id", "supabase_project", "managed_by"]) {
    const body = JSON.stringify({ value: crypto.randomUUID() });
    assert.equal((await fetch(`${url}/${key}`, { method: "POST", headers, body })).status, 204);
  }
  for (let run = 0; run < 3; run++) {
    await assertRun(stack, {});
    await stack.ageSightings();
  }
  assert.equal(stack.simulator.machine(machine_id)?.live, true);
  assert.equal((await stack.row(machine_id)).status, "running");
});

Deno.test("running rows whose machine Fly.io does not know", async (t) => {
  await using world = await startWorld();
  const { stack } = world;
  const { simulator } = stack;

  await t.step("gone for good: lost at the second sighting", async () => {
    const { machine_id } = await provision(stack);
    simulator.killMachine(machine_id);
    await until("it is gone", () => simulator.machine(machine_id)?.state === "destroyed");
    await assertRun(stack, { suspected: 1 });
    assert.equal((await stack.row(machine_id)).status, "running");
    await stack.ageSightings();
    await assertRun(stack, { lost: 1 });
    const row = await stack.row(machine_id);
    assert.deepEqual([row.status, row.error_code], ["error", "machine_lost"]);
    assert.equal((await stack.historyOf(machine_id)).at(-1)?.kind, "machine_lost");
  });

  await t.step("wrong for one run: nothing happens", async () => {
    const { machine_id } = await provision(stack);
    forget(stack, 1, 1);
    await assertRun(stack, { suspected: 1 });
    await stack.ageSightings();
    await assertRun(stack, {});
    const row = await stack.row(machine_id);
    assert.deepEqual([row.status, row.missing_since], ["running", null]);
  });

  await t.step("wrong for longer: written off, and restored once it is seen", async () => {
    const { machine_id } = await provision(stack);
    // With the machine of the step before.
    forget(stack, 2, 2);
    await assertRun(stack, { suspected: 2 });
    await stack.ageSightings();
    await assertRun(stack, { lost: 2 });
    assert.equal((await stack.row(machine_id)).error_code, "machine_lost");
    await assertRun(stack, { found: 2 });
    assert.equal((await stack.row(machine_id)).status, "running");
    assert.equal(simulator.machine(machine_id)?.live, true);
  });
});

Deno.test("a restored backup: machines without rows are held back", async (t) => {
  await using webhook = Webhook.start();
  await using world = await startWorld({ ALERT_WEBHOOK_URL: webhook.url });
  const { stack, make, ourName } = world;
  const { simulator, supabase } = stack;
  const user = await supabase.createUser();
  const names = [1, 2, 3, 4, 5, 6].map(ourName);
  for (const name of names) {
    await make(name, { env: { USER_ID: user.id, MACHINE_ID: name, CPU_PRIORITY: "low" } });
  }
  const live = () => names.filter((name) => simulator.machine(name)?.live).length;

  await t.step("none is destroyed, however often reconcile runs", async () => {
    const { requestId } = await assertRun(stack, { orphansHeld: 6 });
    const event = await until(
      "it is logged",
      () => stack.fn.events(requestId).find(({ level }) => level === "error"),
    );
    assert.match(event.message, /^❌ Reconcile holds back 6 machines that have no row/);
    await stack.ageSightings();
    await assertRun(stack, { orphansHeld: 6 });
    assert.equal(live(), 6);
    assert.equal(webhook.texts.length, 1);
    assert.match(webhook.texts[0] ?? "", /6 machines at Fly.io have no row/);
  });

  await t.step("the hold lasts while a list shows only some of them", async () => {
    const some = (await listAtFly(stack)).slice(0, 2);
    stack.simulator.addFault({
      match: { action: "list" },
      do: { kind: "status", status: 200, body: some },
    });
    await assertRun(stack, { orphansHeld: 2 });
    await stack.ageSightings();
    await assertRun(stack, { orphansHeld: 6 });
    assert.equal(live(), 6);
  });

  await t.step("health fails", async () => {
    const { status, body } = await stack.callAsService({ path: "/health", method: "GET" });
    assert.equal(status, 503);
    assert.equal(body.checks["machines:withoutRow"][0].status, "fail");
  });

  await t.step("a body without a valid decision is refused", async () => {
    assertError(await stack.reconcile({ orphans: "keep" }), 400, "invalid_request", ["issues"]);
  });

  await t.step("adopt: rows are written from what Fly.io knows", async () => {
    await until(
      "all have started",
      () => names.every((name) => simulator.machine(name)?.state === "started"),
    );
    await assertRun(stack, { adopted: 6 }, { orphans: "adopt" });
    const rows = await stack.rowsOf(user);
    assert.deepEqual(rows.map(({ machine_id }) => machine_id).sort(), names);
    assert.deepEqual([...new Set(rows.map(({ status }) => status))], ["running"]);
    assert.equal(rows[0]?.cpu_priority, "low");
    await assertRun(stack, {});
    assert.equal(live(), 6);
  });

  await t.step("destroy: at the second sighting, as always", async () => {
    await supabase.sql("delete from cloud_machines");
    await assertRun(stack, { orphansHeld: 6 });
    await assertRun(stack, { suspected: 6 }, { orphans: "destroy" });
    await stack.ageSightings();
    await assertRun(stack, { orphansDestroyed: 6 }, { orphans: "destroy" });
    assert.equal(live(), 0);
  });
});

/** In the next runs Fly.io's list is empty, and so many look-ups find no machine. */
function forget(stack: Stack, runs: number, machines: number): void {
  stack.simulator.addFault({
    match: { action: "list" },
    times: runs,
    do: { kind: "status", status: 200, body: [] },
  });
  stack.simulator.addFault({
    match: { action: "get" },
    times: runs * machines,
    do: { kind: "status", status: 404, body: { error: "machine not found" } },
  });
}

async function listAtFly(stack: Stack): Promise<unknown[]> {
  const response = await fetch(`${stack.fly.url}/v1/apps/${FLY_APP}/machines`, {
    headers: { authorization: `Bearer ${FLY_TOKEN}` },
  });
  return await response.json();
}
