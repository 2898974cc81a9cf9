/** What an organization of the simulator may not do, each refusal with its record. */
import assert from "node:assert/strict";
import { type FlySimulator, type Organization } from "../../dev/stack/fly/mod.ts";
import { MACHINE, virtualSimulator } from "../support/fly-simulator.ts";

const machine = (name: string, more: Record<string, unknown> = {}) => ({
  ...MACHINE,
  name,
  ...more,
});

function limit({ world }: FlySimulator, limits: Partial<Organization>) {
  Object.assign(world.organizations.get("personal"), limits);
}

Deno.test("the machine limit counts all apps of the organization, stopped machines too (amp, t/20636)", async () => {
  const { clock, simulator, send, create } = virtualSimulator({ apps: ["demo", "other"] });
  limit(simulator, { machineLimit: 2 });
  const id = await create();
  await clock.advance(300);
  await send(`POST /machines/${id}/stop`);
  await send("POST /v1/apps/other/machines", machine("b"));
  const refused = await send("POST /machines", machine("c"));
  assert.deepEqual([refused.status, refused.json], [422, {
    error: "Your organization has reached its machine limit. Please contact billing@fly.io",
  }]);
  simulator.addApp("strangers", "stranger");
  simulator.setToken({ token: "stranger", organization: "stranger" });
  const headers = { authorization: "Bearer stranger" };
  assert.equal((await send("POST /v1/apps/strangers/machines", machine("d"), headers)).status, 200);
  await send(`DELETE /machines/${id}?force=true`);
  assert.equal((await send("POST /machines", machine("c"))).status, 200);
});

Deno.test("a region's memory quota is 403 and names the region, not the token (Kilo#516)", async () => {
  const { simulator, send, create } = virtualSimulator();
  limit(simulator, { memoryQuotasMb: { dfw: 512 } });
  await create(machine("a", { region: "dfw" }));
  await create(machine("b", { region: "dfw" }));
  const refused = await send("POST /machines", machine("c", { region: "dfw" }));
  assert.deepEqual([refused.status, refused.json], [403, {
    error:
      'organization "personal" is using 512 MB of memory in dfw which is over the allowed quota. ' +
      "please consider other regions",
  }]);
  assert.equal((await send("POST /machines", machine("c", { region: "iad" }))).status, 200);
});

Deno.test("billing refusals, whose status is not recorded (flyctl#2060)", async () => {
  const { simulator, send, create } = virtualSimulator();
  limit(simulator, { billing: "second-machine" });
  await create();
  const statuses = new Set<number>();
  for (let i = 0; i < 20; i++) {
    const { status, body } = await send("POST /machines", machine("b"));
    statuses.add(status);
    assert.equal(
      body.error,
      "To create more than 1 machine per app please add a payment method",
    );
  }
  assert.deepEqual([...statuses].sort(), [403, 412, 422]);
  limit(simulator, { billing: "payment-information" });
  assert.equal(
    (await send("POST /machines", machine("b"))).body.error,
    "We need your payment information",
  );
});

Deno.test("a trial: 5 minutes for each start, 2 VM hours, 10 small machines, 7 days (docs, free-trial)", async () => {
  const { clock, simulator, send, create, state } = virtualSimulator();
  limit(simulator, { trialSinceMs: clock.now() });
  const id = await create();
  await clock.advance(300 + 299_999);
  assert.equal(state(id), "started");
  await clock.advance(1);
  assert.equal(state(id), "stopped");
  const { request } = (await send(`GET /machines/${id}`)).body.events[0] ?? {};
  assert.equal(request?.exit_event.requested_stop, true, "not published: the harder case");

  const guest = { cpu_kind: "performance", cpus: 1, memory_mb: 2048 };
  const large = await send(
    "POST /machines",
    machine("large", { config: { ...MACHINE.config, guest } }),
  );
  assert.equal(large.body.error, "We need your payment information");
  for (let i = 2; i <= 10; i++) await create(machine(`m${i}`));
  assert.equal((await send("POST /machines", machine("m11"))).status, 422);
  await clock.advance(1_000_000);
  for (let i = 0; i < 14; i++) {
    await send(`POST /machines/${id}/start`);
    await clock.advance(310_000);
  }
  const used = await send(`POST /machines/${id}/start`);
  assert.equal(used.body.error, "We need your payment information", "2 hours are used up");

  const later = virtualSimulator();
  limit(later.simulator, { trialSinceMs: later.clock.now() });
  await later.clock.advance(7 * 86_400_000);
  assert.notEqual((await later.send("POST /machines", MACHINE)).status, 200);
});

Deno.test("a limit of apps; its figure and text are not recorded (hexclave)", async () => {
  const { simulator, send } = virtualSimulator();
  limit(simulator, { appLimit: 2 });
  const app = (name: string) => send("POST /v1/apps", { name, org_slug: "personal" });
  assert.equal((await app("second")).status, 201);
  assert.equal((await app("third")).status, 422);
});

Deno.test("an image is unknown for a while after its push, and nothing is made (graphforge#1059)", async () => {
  const { clock, simulator, send } = virtualSimulator();
  simulator.world.images.set(MACHINE.config.image, { missingUntilMs: clock.now() + 15_000 });
  const refused = await send("POST /machines", MACHINE);
  assert.equal(refused.status, 400);
  assert.match(
    refused.body.error,
    /^failed to get manifest registry\.fly\.io\/demo:v1 \[http 404\]: /,
  );
  assert.match(refused.body.error, /"code":"MANIFEST_UNKNOWN"/);
  assert.deepEqual(simulator.machines(), []);
  await clock.advance(15_000);
  assert.equal((await send("POST /machines", MACHINE)).status, 200);
});

Deno.test("an image that is too large: create 200, launch_failed, then gone (ollama-open-webui#4)", async () => {
  const { clock, simulator, send, create } = virtualSimulator();
  simulator.world.images.set(MACHINE.config.image, { tooLarge: true });
  const id = await create();
  await clock.advance(400);
  const states = simulator.machine(id)?.history.map(({ state }) => state);
  assert.ok(states?.includes("launch_failed") && !states.slice(0, -3).includes("destroyed"));
  const { status, body } = await send(`GET /machines/${id}`);
  assert.deepEqual([status, body.error], [404, "not_found: machine not found"]);
});

Deno.test("a second machine of a name can be 422 too (amp)", async () => {
  const { send, create } = virtualSimulator({ settings: { duplicateNameStatus: 422 } });
  const id = await create();
  const { status, body } = await send("POST /machines", MACHINE);
  assert.equal(status, 422);
  assert.match(body.error, new RegExp(`machine ID ${id} already exists`));
});
