/** Starting, stopping, suspending and updating Machines in the simulator, each test with its fact. */
import assert from "node:assert/strict";
import { MACHINE, virtualSimulator } from "../support/fly-simulator.ts";

Deno.test("skip_launch: created, then stopped when the image is ready; start is refused before (surge)", async () => {
  const { clock, simulator, send, create, state } = virtualSimulator();
  const id = await create({ ...MACHINE, skip_launch: true });
  const refused = await send(`POST /machines/${id}/start`);
  assert.equal(refused.status, 412);
  assert.equal(
    refused.body.error,
    "failed_precondition: unable to start machine from current state: 'created'",
  );
  await clock.advance(1000);
  assert.equal(state(id), "stopped");
  await clock.advance(1000);
  assert.equal((await send(`POST /machines/${id}/start`)).body.previous_state, "stopped");
  await clock.advance(300);
  assert.equal(state(id), "started");

  simulator.configure({ skipLaunch: "created" });
  const kept = await create({ ...MACHINE, name: "kept", skip_launch: true });
  await clock.advance(3_600_000);
  assert.equal(state(kept), "created", "as documented");
  assert.equal((await send(`POST /machines/${kept}/start`)).status, 200);
  const launching = await create({ ...MACHINE, name: "launching" });
  assert.equal((await send(`POST /machines/${launching}/start`)).status, 412);
});

Deno.test("a start is refused for 0.4 to 1 s after stopped, and under other numbers (recorded texts)", async () => {
  const { clock, simulator, send, create } = virtualSimulator();
  const id = await create();
  await clock.advance(300);
  await send(`POST /machines/${id}/stop`);
  await clock.advance(100);
  const start = () => send(`POST /machines/${id}/start`);
  const text = "failed_precondition: machine still active, refusing to start";
  assert.deepEqual([(await start()).status, (await start()).body.error], [412, text]);
  for (const startRefusalStatus of [400, 409] as const) {
    simulator.configure({ startRefusalStatus });
    assert.equal((await start()).status, startRefusalStatus);
  }
  await clock.advance(399);
  assert.equal((await start()).body.error, text);
  await clock.advance(601);
  assert.equal((await start()).status, 200);

  const starting = await start();
  assert.deepEqual([starting.status, starting.body.error], [
    409,
    "aborted: machine still attempting to start",
  ]);
  await clock.advance(300);
  assert.equal((await start()).status, 409, "one client saw it for a started machine too");
  simulator.configure({ startOfStarted: "ok" });
  assert.equal((await start()).body.previous_state, "started");
});

Deno.test("suspend: suspending, suspended, and start from both (community.fly.io, topic 26623)", async () => {
  const { clock, send, create, state } = virtualSimulator({ settings: { suspendDelayMs: 15_000 } });
  const id = await create();
  const suspend = () => send(`POST /machines/${id}/suspend`);
  assert.equal((await suspend()).status, 412, "not started yet");
  await clock.advance(300);
  assert.equal((await suspend()).status, 200);
  assert.equal(state(id), "suspending");
  assert.equal((await send(`POST /machines/${id}/start`)).status, 200);
  await clock.advance(300);
  assert.equal(state(id), "started");
  await suspend();
  await clock.advance(15_000);
  assert.equal(state(id), "suspended");
  assert.equal((await send(`GET /machines/${id}/wait?state=suspended`)).status, 200);
  assert.equal((await send(`POST /machines/${id}/start`)).body.previous_state, "suspended");
  await clock.advance(300);
  await suspend();
  await clock.advance(15_000);
  await send(`POST /machines/${id}/stop`);
  await clock.advance(100);
  assert.equal(state(id), "stopped", "the snapshot is dropped");
});

Deno.test("suspend stops what has over 2 GB, swap or a schedule, or when it fails (docs, suspend-resume)", async () => {
  const { clock, simulator, send, create, state } = virtualSimulator();
  const guest = { cpu_kind: "performance", cpus: 1, memory_mb: 4096 };
  const configs = {
    large: { guest },
    swap: { init: { swap_size_mb: 512 } },
    scheduled: { schedule: "daily" },
    unlucky: {},
  };
  for (const [name, config] of Object.entries(configs)) {
    if (name === "unlucky") simulator.configure({ suspendFails: 1 });
    const id = await create({ name, config: { ...MACHINE.config, ...config } });
    await clock.advance(300);
    assert.equal((await send(`POST /machines/${id}/suspend`)).status, 200);
    await clock.advance(5000);
    assert.equal(state(id), "stopped", name);
  }
});

Deno.test("an update replaces the whole config and the version, and refuses a start meanwhile (surge, hex#2060)", async () => {
  const { clock, send, create, state } = virtualSimulator();
  const id = await create({ ...MACHINE, config: { ...MACHINE.config, env: { A: "1" } } });
  await clock.advance(300);
  const before = (await send(`GET /machines/${id}`)).body;
  const config = { image: "registry.fly.io/demo:v2" };
  const stale = await send(`POST /machines/${id}`, { config, current_version: "another" });
  assert.equal(stale.status, 409);
  const body = { config, name: "another", region: "fra", current_version: before.instance_id };
  const updated = await send(`POST /machines/${id}`, body);
  assert.deepEqual([updated.status, updated.body.state], [200, "started"], "before the swap");
  assert.equal(state(id), "replacing");
  await clock.advance(3799);
  assert.equal(state(id), "starting");
  await clock.advance(1);
  const after = (await send(`GET /machines/${id}`)).body;
  assert.deepEqual([after.state, after.name, after.region], ["started", "machine-1", "iad"]);
  assert.notEqual(after.instance_id, before.instance_id);
  assert.deepEqual([after.config.image, after.config.env], [config.image, undefined]);
  assert.equal(
    (await send(`GET /machines/${id}/wait?version=${before.instance_id}`)).status,
    404,
    "the old version is gone",
  );

  await send(`POST /machines/${id}/stop`);
  await clock.advance(2000);
  assert.equal((await send(`POST /machines/${id}`, { config })).body.state, "stopped");
  const refused = await send(`POST /machines/${id}/start`);
  assert.deepEqual([refused.status, refused.body.error], [
    412,
    "failed_precondition: machine getting replaced, refusing to start",
  ]);
  await clock.advance(3500);
  assert.equal(state(id), "stopped");
});

Deno.test("restart, cordon and uncordon; skip_service_registration makes a cordoned machine (OpenAPI)", async () => {
  const { clock, simulator, send, create, state } = virtualSimulator();
  const id = await create({ ...MACHINE, skip_service_registration: true });
  await clock.advance(300);
  const cordoned = () => simulator.world.findMachine(id)?.cordoned;
  assert.equal(cordoned(), true);
  await send(`POST /machines/${id}/uncordon`);
  assert.equal(cordoned(), false);
  await send(`POST /machines/${id}/cordon`);
  assert.equal(cordoned(), true);
  assert.equal((await send(`POST /machines/${id}/restart`)).status, 200);
  assert.equal(state(id), "restarting");
  await clock.advance(400);
  assert.equal(state(id), "started");
});

Deno.test("metadata: one key, many at once, a wrong version, no restart (OpenAPI)", async () => {
  const { send, create, simulator } = virtualSimulator();
  const id = await create({
    ...MACHINE,
    config: { ...MACHINE.config, metadata: { a: "1", b: "2" } },
  });
  const { instance_id: version } = (await send(`GET /machines/${id}`)).body;
  const path = `/machines/${id}/metadata`;
  assert.deepEqual((await send(`GET ${path}/a`)).json, { value: "1" });
  assert.equal((await send(`GET ${path}/c`)).status, 404);
  const patch = { metadata: { a: null, b: "", c: "3" }, machine_version: version };
  assert.equal((await send(`PATCH ${path}`, patch)).status, 204);
  assert.deepEqual((await send(`GET ${path}`)).json, { c: "3" });
  assert.equal((await send(`PUT ${path}`, { metadata: { d: "4" } })).status, 204);
  assert.deepEqual((await send(`GET ${path}`)).json, { d: "4" });
  assert.equal((await send(`PATCH ${path}`, { ...patch, machine_version: "x" })).status, 412);
  assert.equal(simulator.machine(id)?.instanceId, version);
});

Deno.test("metadata is rewritten from inside a machine without a token, its app's others' too; names are not", async () => {
  const { simulator, send, create } = virtualSimulator({ apps: ["demo", "other"] });
  const metadata = { row: "1", by: "us" };
  const id = await create({ ...MACHINE, config: { ...MACHINE.config, metadata } });
  await create({ ...MACHINE, name: "hostile" });
  await send("POST /v1/apps/other/machines", { ...MACHINE, name: "elsewhere" });
  const { operator } = simulator;
  operator.tamper(id, { metadata: { row: "2" } });
  assert.deepEqual((await send(`GET /machines/${id}/metadata`)).json, { row: "2", by: "us" });
  operator.tamper(id, { by: "hostile", metadata: { by: null } });
  assert.deepEqual((await send(`GET /machines/${id}/metadata`)).json, { row: "2" });
  assert.throws(() => operator.tamper(id, { by: "elsewhere", metadata: {} }), RangeError);
  assert.equal(simulator.machine(id)?.name, "machine-1");
});
