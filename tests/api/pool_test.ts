/** The warm pool: machines that stand by, and the claims that take them. */
import assert from "node:assert/strict";
import { assertError, assertProvisioned, assertSuccess } from "../support/expectations.ts";
import { scrape } from "../support/exposition.ts";
import { assertRun } from "../support/reconcile-run.ts";
import { FLY_APP, type Stack, startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";

const POOL = { FLY_ORG_SLUG: "personal", POOL_SIZE: "2", MAX_MACHINES: "100" };
/** Lists are prompt, so that a run of reconcile shows what there is. */
const PROMPT = {
  newAppDelayMs: 0,
  newAppListDelayMs: 0,
  organizationListDelayMs: 0,
  appDeleteDelayMs: 0,
  imageReadyMs: 0,
  stillActiveMs: 0,
};

interface Entry {
  id: string;
  machine_id: string;
  fly_machine_id: string | null;
  state: string;
  discard_reason: string | null;
}

function entries({ supabase }: Stack): Promise<Entry[]> {
  return supabase.sql<Entry>("select * from pooled_machines order by created_at, id");
}

/** Makes the pool full and ready. */
async function fill(stack: Stack, size = 2): Promise<Entry[]> {
  await stack.reconcile();
  await until(
    "the machines stand by",
    () =>
      stack.simulator.liveMachines().every(({ state }) =>
        state !== "created" && state !== "starting"
      ),
  );
  await stack.reconcile();
  const all = await entries(stack);
  assert.deepEqual(all.map(({ state }) => state), Array(size).fill("ready"));
  return all;
}

/** Has every machine of the pool destroyed. */
async function empty(stack: Stack): Promise<void> {
  await stack.restart({ POOL_SIZE: "0" });
  await stack.reconcile();
  await stack.reconcile();
  assert.deepEqual(await entries(stack), []);
}

async function callsDuring(stack: Stack, work: () => Promise<unknown>) {
  stack.supabase.clearRequests();
  stack.simulator.clearRequests();
  await work();
  return {
    database: stack.supabase.requests({ transport: "http" }).flatMap(({ rpc }) => rpc ?? []),
    fly: stack.simulator.requests().map(({ action }) => action),
  };
}

/** Apps that are not the one that exists from the start. */
function apps({ simulator: { world } }: Stack): string[] {
  return world.apps().filter(({ name, deletion }) => name !== FLY_APP && deletion === undefined)
    .map(({ name }) => name);
}

Deno.test("a pool of stopped machines", async (t) => {
  await using stack = await startStack({ env: POOL, fly: { settings: PROMPT } });
  const { supabase, simulator } = stack;
  const provision = async (options = {}) =>
    await stack.call(await supabase.createUser(), { body: {}, ...options });

  await t.step("reconcile makes them, and they can be taken once Fly.io lists them", async () => {
    await assertRun(stack, { pooled: 2 });
    const made = await entries(stack);
    assert.deepEqual(made.map(({ state }) => state), ["making", "making"]);
    assert.deepEqual((await callsDuring(stack, () => assertRun(stack, {}))).fly, [
      "app",
      "organization-machines",
      "placements",
    ]);
    for (const { machine_id, fly_machine_id, state } of await entries(stack)) {
      assert.equal(state, "ready");
      const machine = simulator.machine(machine_id);
      assert.deepEqual([machine?.id, machine?.app, machine?.state], [
        fly_machine_id,
        machine_id,
        "stopped",
      ]);
      // Nothing of a user, who is not known yet.
      assert.deepEqual(Object.keys(machine?.config.env ?? {}).sort(), [
        "CONNECT_KEY",
        "CPU_PRIORITY",
        "MACHINE_ID",
      ]);
    }
    await assertRun(stack, {});
  });

  await t.step("a claim takes the oldest: one call to start it, one to wait", async () => {
    const [oldest] = await entries(stack);
    const user = await supabase.createUser();
    const headers = { "idempotency-key": "one" };
    const calls = await callsDuring(stack, async () => {
      const answer = await stack.call(user, { body: {}, headers });
      const row = await assertProvisioned(stack, answer);
      assert.deepEqual(
        [row.machine_id, row.fly_machine_id, row.user_id, answer.body.message],
        [oldest?.machine_id, oldest?.fly_machine_id, user.id, "Machine provisioned successfully"],
      );
    });
    assert.deepEqual(calls.fly, ["start", "wait"]);
    assert.deepEqual(calls.database, ["claim_machine", "mark_machine_running"]);
    assert.equal((await entries(stack)).length, 1);
    const again = await stack.call(user, { body: {}, headers });
    assert.equal(again.body.machineId, oldest?.machine_id);
    assert.equal(again.headers.get("idempotency-replayed"), "true");
    assertError(await stack.call(user, { body: {} }), 409, "machine_limit_reached", [
      "websocketUrl",
      "status",
    ]);
    const connected = await stack.call(user, { path: `/${oldest?.machine_id}/connect` });
    assert.equal(connected.body.websocketUrl, `wss://${oldest?.machine_id}.fly.dev`);
    await assertRun(stack, { pooled: 1 });
    await stack.call(user, { method: "DELETE", path: `/${oldest?.machine_id}` });
    assert.ok(!apps(stack).includes(oldest?.machine_id ?? ""));
  });

  await t.step("the ledger counts from the claim on", async () => {
    const usage = await supabase.sql<{ user_id: string | null }>("select * from machine_usage");
    assert.ok(usage.length > 0);
    assert.ok(usage.every(({ user_id }) => user_id !== null));
  });

  await t.step("another region or size is created as ever", async () => {
    const before = await fill(stack);
    for (const body of [{ region: "ams" }, { cpuPriority: "high" }]) {
      const calls = await callsDuring(stack, async () => {
        await assertProvisioned(stack, await provision({ body }));
      });
      assert.ok(calls.fly.includes("create"));
    }
    assert.deepEqual(await entries(stack), before);
  });

  await t.step("no room on its host: the next one is taken, and the first destroyed", async () => {
    const [first, second] = await fill(stack);
    assert.ok(first && second);
    simulator.operator.setHost(first.machine_id, { noRoom: "memory" });
    const user = await supabase.createUser();
    const calls = await callsDuring(stack, async () => {
      const answer = await stack.call(user, { body: {} });
      const row = await assertProvisioned(stack, answer);
      assert.equal(row.machine_id, second.machine_id);
      assert.ok(row.former_machine_ids.includes(first.machine_id));
    });
    assert.deepEqual(calls.fly, ["start", "start", "wait"]);
    // The name that a 202 may have given leads to the row.
    const found = await stack.call(user, { path: `/${first.machine_id}/connect` });
    assert.equal(found.body.websocketUrl, `wss://${second.machine_id}.fly.dev`);
    const [left] = await entries(stack);
    assert.deepEqual([left?.machine_id, left?.state], [first.machine_id, "discarded"]);
    assert.match(left?.discard_reason ?? "", /insufficient memory/);
    await assertRun(stack, { poolDestroyed: 1, pooled: 2 });
    assert.ok(!apps(stack).includes(first.machine_id));
  });

  await t.step("no machine of the pool can start: one is created", async () => {
    const all = await fill(stack);
    for (const { machine_id } of all) simulator.operator.setHost(machine_id, { noRoom: "cpus" });
    const calls = await callsDuring(stack, async () => {
      const row = await assertProvisioned(stack, await provision());
      assert.ok(all.every(({ machine_id }) => machine_id !== row.machine_id));
      assert.equal(simulator.machine(row.machine_id)?.config.env?.["USER_ID"], row.user_id);
    });
    assert.deepEqual(calls.fly.filter((action) => action === "start").length, 2);
    assert.ok(calls.fly.includes("create"));
    await assertRun(stack, { poolDestroyed: 2, pooled: 2 });
  });

  await t.step("an empty pool: an ordinary create", async () => {
    await fill(stack);
    for (let n = 0; n < 2; n++) await assertProvisioned(stack, await provision());
    const calls = await callsDuring(stack, async () => {
      await assertProvisioned(stack, await provision());
    });
    assert.ok(calls.fly.includes("create"));
  });

  await t.step("what was started behind our back, or destroyed, is replaced", async () => {
    const [first, second] = await fill(stack);
    assert.ok(first && second);
    simulator.killMachine(second.fly_machine_id ?? "");
    await assertRun(stack, {});
    // Missing once, it is not taken; missing for a minute, it is given up.
    await supabase.sql(
      "update pooled_machines set missing_since = missing_since - interval '1 minute'",
    );
    await assertRun(stack, { poolDiscarded: 1, pooled: 1 });
    await assertRun(stack, { poolDestroyed: 1 });
  });

  await t.step("other settings: the pool is made anew", async () => {
    const before = await fill(stack);
    await stack.restart({ MACHINE_ENV: '{"NEW":"1"}' });
    // A claim takes none that was made with other settings.
    const calls = await callsDuring(stack, async () => {
      await assertProvisioned(stack, await provision());
    });
    assert.ok(calls.fly.includes("create"));
    await assertRun(stack, { poolDiscarded: 2, poolDestroyed: 2, pooled: 2 });
    const after = await fill(stack);
    assert.ok(
      after.every(({ machine_id }) => !before.some((old) => old.machine_id === machine_id)),
    );
    await stack.restart();
  });

  await t.step("users' creates go first: the pool takes one when nobody needs any", async () => {
    await empty(stack);
    await stack.restart({ POOL_SIZE: "5", FLY_RATE_PER_SECOND: "0.1", FLY_RATE_BURST: "3" });
    await assertRun(stack, { pooled: 1 });
    await assertRun(stack, {});
    await supabase.sql("update fly_create_buckets set full_at = now()");
  });

  await t.step("one whose maker died is destroyed", async () => {
    await empty(stack);
    await stack.restart({ POOL_SIZE: "1" });
    await assertRun(stack, { pooled: 1 });
    await supabase.sql("update pooled_machines set fly_machine_id = null");
    await stack.reconcile();
    const [making] = await entries(stack);
    assert.equal(making?.state, "making");
    await supabase.sql("update pooled_machines set reconcile_at = now()");
    await stack.reconcile();
    assert.ok(!apps(stack).includes(making?.machine_id ?? ""));
    await stack.restart();
    await stack.reconcile();
  });

  await t.step("health and metrics show it", async () => {
    await stack.reconcile();
    await stack.reconcile();
    await fill(stack);
    const { samples } = await scrape(stack);
    const valueOf = (name: string) => samples.get(`provision_machine_pool_${name}`) ?? -1;
    assert.equal(valueOf("wanted"), 2);
    assert.equal(valueOf('machines{state="ready"}'), 2);
    assert.ok(valueOf('claims_total{outcome="hit"}') > 0);
    assert.ok(valueOf('claims_total{outcome="miss"}') > 0);
    const health = await stack.callAsService({ method: "GET", path: "/health" });
    const [check] = health.body.checks["pool:ready"];
    assert.deepEqual([check.status, check.observedValue], ["pass", 2]);
  });

  await t.step("POOL_SIZE 0: they are destroyed", async () => {
    await stack.restart({ POOL_SIZE: "0" });
    await assertRun(stack, { poolDiscarded: 2, poolDestroyed: 2 });
    assert.deepEqual(await entries(stack), []);
    const rows = await supabase.sql<{ machine_id: string }>(
      "select machine_id from cloud_machines where status in ('running', 'stopped')",
    );
    assert.deepEqual(apps(stack).sort(), rows.map(({ machine_id }) => machine_id).sort());
  });
});

Deno.test("a pool of started machines", async (t) => {
  await using stack = await startStack({
    env: { ...POOL, POOL_STATE: "started" },
    fly: { settings: PROMPT },
  });
  const { supabase, simulator } = stack;
  const provision = async (options = {}) =>
    await stack.call(await supabase.createUser(), { body: {}, ...options });

  await t.step("a claim is one call to the database, and none to Fly.io", async () => {
    const [oldest] = await fill(stack);
    const calls = await callsDuring(stack, async () => {
      const answer = await provision({ headers: { prefer: "respond-async" } });
      const row = await assertProvisioned(stack, answer);
      assert.equal(row.machine_id, oldest?.machine_id);
    });
    assert.deepEqual(calls, { database: ["claim_machine"], fly: [] });
  });

  await t.step("one that nobody has seen for a while is asked for", async () => {
    await fill(stack);
    await supabase.sql("update pooled_machines set checked_at = checked_at - interval '4 minutes'");
    const calls = await callsDuring(stack, async () => {
      await assertProvisioned(stack, await provision());
    });
    assert.deepEqual(calls.fly, ["start", "wait"]);
  });

  await t.step("one that has stopped is no use", async () => {
    const [first] = await fill(stack);
    simulator.operator.exit(first?.machine_id ?? "", { exitCode: 0 });
    await until(
      "it has stopped",
      () => simulator.machine(first?.machine_id ?? "")?.state === "stopped",
    );
    await assertRun(stack, { poolDiscarded: 1, pooled: 1 });
    await assertRun(stack, { poolDestroyed: 1 });
  });

  await t.step("the pool leaves the last tenth of MAX_MACHINES to users", async () => {
    await stack.restart({ POOL_SIZE: "50", MAX_MACHINES: "10" });
    await stack.reconcile();
    const users = await supabase.sql("select 1 from cloud_machines where status = 'running'");
    const pooled = await entries(stack);
    assert.equal(users.length + pooled.length, 9);
    // None of these fits, and all of them count.
    assertSuccess(await provision({ body: { region: "ams" } }), 200, "running");
    assertError(await provision({ body: { region: "ams" } }), 503, "fleet_full");
    await stack.restart({ POOL_SIZE: "50", MAX_MACHINES: String(users.length + 1) });
    await assertRun(stack, { poolDiscarded: pooled.length, poolDestroyed: pooled.length });
    assertError(await provision({ body: { region: "ams" } }), 503, "fleet_full");
    await stack.restart({ POOL_SIZE: "0" });
    await stack.reconcile();
    assert.deepEqual(await entries(stack), []);
    assertSuccess(await provision(), 200, "running");
  });
});
