/** What runs on the simulator's machines, and what each of them finds there. */
import assert from "node:assert/strict";
import { z } from "zod";
import { canReach, internalVms, setSecrets } from "../../dev/stack/fly/mod.ts";
import { claims, KEY, MACHINE_ID, machineKey, SECRET, sign, USER_ID } from "../examples/tokens.ts";
import { ProxyClient, type ProxyWorld, proxyWorld, publish } from "../support/fly-proxy.ts";
import { until } from "../support/until.ts";

const EXAMPLE = "registry.fly.io/demo:v1";
const ROUTER = "registry.fly.io/demo:router-v1";

function webSocket({ proxy }: ProxyWorld, path: string, app = "demo"): ProxyClient {
  return new ProxyClient(`${proxy.address(app).replace("http", "ws")}${path}`);
}

/** The environment of a machine with the hostile image. */
async function environment(world: ProxyWorld): Promise<Record<string, string>> {
  const { text } = await world.request("demo", "/?env");
  return z.record(z.string(), z.string()).parse(JSON.parse(text));
}

Deno.test("the example image answers the same inside this process and as a process of its own", async () => {
  const conversations: unknown[][] = [];
  for (const inProcess of [true, false]) {
    await using world = await proxyWorld({ inProcess });
    const id = await world.machine({
      image: EXAMPLE,
      env: { MACHINE_ID, CONNECT_KEY: KEY, USER_ID },
    });
    await publish(world, "demo");
    const said: unknown[] = [];
    for (const path of ["/health", "/other"]) {
      const { status, text } = await world.request("demo", path);
      said.push(status, JSON.parse(text));
    }
    for (const token of [sign(claims({ sub: "stranger" })), "malformed"]) {
      said.push(await webSocket(world, `/?token=${token}`).refusal());
    }
    const client = webSocket(world, `/machines/x?token=${sign(claims())}`);
    said.push(await client.next());
    for (const text of ['{"id":"1","text":"a"}', '{"id":"1","text":"a"}', "nonsense"]) {
      client.send(text);
      said.push(await client.next());
      if (text === '{"id":"1","text":"a"}' && said.length === 8) said.push(await client.next());
    }
    said.push(...await resumedSession(world));
    await world.send(`POST /machines/${id}/stop`);
    const { code, reason } = await client.closed;
    said.push(code, reason);
    conversations.push(said);
  }
  assert.deepEqual(conversations[0], conversations[1]);
  assert.deepEqual(conversations[0]?.slice(0, 4), [
    200,
    { status: "pass" },
    426,
    { error: "Connect with a WebSocket." },
  ]);
  assert.deepEqual(conversations[0]?.at(-2), 1001);
});

/** What a client hears that loses its connection and goes on. */
async function resumedSession(world: ProxyWorld): Promise<unknown[]> {
  const said: unknown[] = [];
  const sent = [['{"id":"2","text":"b"}', "null"], ['{"seen":1}', '{"id":"3","text":"c"}']];
  for (const [index, texts] of sent.entries()) {
    const query = `token=${sign(claims())}&session=session-1&seen=0`;
    const client = webSocket(world, `/machines/x?${query}`);
    // The second time the text that was not confirmed comes again.
    for (let count = 0; count <= index; count++) said.push(await client.next());
    for (const text of texts) client.send(text);
    for (let count = 0; count < 3 - index; count++) said.push(await client.next());
    await client.close();
  }
  return said;
}

Deno.test("the example router, with its app's secret, leads to the machine that the token names", async () => {
  await using world = await proxyWorld({ simulator: { apps: ["demo", "router"] } });
  await publish(world, "router");
  setSecrets(world.simulator.world, "router", { CONNECT_TOKEN_SECRET: SECRET });
  await world.machine({ app: "router", image: ROUTER, env: { SHARED_APP: "demo" } });
  const names = ["machine-a", "machine-b", "machine-c"];
  const ids = new Map<string, string>();
  for (const name of names) {
    const env = { MACHINE_ID: name, CONNECT_KEY: machineKey(name) };
    ids.set(name, await world.machine({ name, image: EXAMPLE, env }));
  }
  for (const name of [...names, ...names]) {
    const token = sign(claims({ aud: name, app: "demo", machine: ids.get(name) }), {
      key: machineKey(name),
    });
    const client = webSocket(world, `/${name}?token=${token}`, "router");
    assert.deepEqual(await client.next(), { machineId: name, userId: USER_ID });
    await client.close();
  }
  const forged = sign(claims({ aud: "machine-a", app: "demo" }), { key: machineKey("machine-b") });
  assert.match(await webSocket(world, `/machine-a?token=${forged}`, "router").refusal(), /401/);
});

Deno.test("a program that ends takes its machine along", async () => {
  await using world = await proxyWorld({ simulator: { apps: ["router"] }, inProcess: true });
  // Without CONNECT_TOKEN_SECRET the router refuses to start.
  const config = { restart: { policy: "no" } };
  const id = await world.machine({ app: "router", image: ROUTER, config });
  await until("the machine stops", () => world.state(id) === "stopped");
  const exit = world.simulator.machine(id)?.history.at(-1)?.event?.request?.exit_event;
  assert.deepEqual([exit?.exit_code, exit?.requested_stop], [1, false]);
});

Deno.test("a program that ends with a failure is started again, as its restart policy says", async () => {
  await using world = await proxyWorld({ simulator: { apps: ["router"] }, inProcess: true });
  const config = { restart: { policy: "on-failure", max_retries: 1 } };
  const id = await world.machine({ app: "router", image: ROUTER, config });
  await until("the program ends", () => world.state(id) === "restarting");
  await world.clock.advance(1000);
  await until("the program ends again", () => world.state(id) === "stopped");
});

Deno.test("a machine finds its config's environment, Fly.io's, and its app's secrets", async () => {
  await using world = await proxyWorld();
  setSecrets(world.simulator.world, "demo", { BOTH: "secret", SECRET: "of the app" });
  const id = await world.machine({ env: { BOTH: "config", OWN: "1" }, region: "iad" });
  await publish(world, "demo");
  const env = await environment(world);
  const { private_ip: privateIp } = Object((await world.send(`GET /machines/${id}`)).json);
  assert.deepEqual(env, {
    OWN: "1",
    BOTH: "secret",
    SECRET: "of the app",
    FLY_APP_NAME: "demo",
    FLY_MACHINE_ID: id,
    FLY_ALLOC_ID: id,
    FLY_REGION: "iad",
    FLY_PRIVATE_IP: privateIp,
    FLY_IMAGE_REF: "registry.fly.io/demo:hostile",
    FLY_MACHINE_VERSION: world.simulator.machine(id)?.instanceId,
    FLY_VM_MEMORY_MB: "256",
  });
});

Deno.test("a secret reaches a machine when it starts, unless its config keeps secrets out", async () => {
  await using world = await proxyWorld();
  const id = await world.machine();
  await publish(world, "demo");
  setSecrets(world.simulator.world, "demo", { LATER: "1" });
  assert.equal((await environment(world)).LATER, undefined);
  await world.send(`POST /machines/${id}/stop`);
  await world.clock.advance(2_000);
  await world.send(`POST /machines/${id}/start`);
  await world.clock.advance(300);
  assert.equal((await environment(world)).LATER, "1");
  await world.send(`DELETE /machines/${id}?force=true`);
  await world.machine({ config: { processes: [{ ignore_app_secrets: true }] } });
  assert.equal((await environment(world)).LATER, undefined);
});

Deno.test("the hostile image lets anyone in", async () => {
  await using world = await proxyWorld();
  const id = await world.machine({ env: { MACHINE_ID, CONNECT_KEY: KEY } });
  await publish(world, "demo");
  const client = webSocket(world, "/?token=whatever");
  assert.equal(Object(await client.next()).hostile, id);
  await client.close();
});

Deno.test("machines see each other within a network, and no further", async () => {
  await using world = await proxyWorld();
  const { simulator } = world;
  simulator.world.addApp("neighbour", "personal");
  simulator.world.addApp("walled", "personal", "walled");
  simulator.world.addApp("stranger", "strangers");
  const id = await world.machine({ name: "one" });
  const [first, second, neighbour, walled] = [
    id,
    await world.machine({ name: "two", region: "fra" }),
    await world.machine({ app: "neighbour" }),
    await world.machine({ app: "walled" }),
  ].map((one) => simulator.world.findMachine(one));
  assert.ok(first && second && neighbour && walled);
  assert.ok(canReach(simulator.world, first, second), "machines of one app");
  assert.ok(canReach(simulator.world, first, neighbour), "apps of one network");
  assert.ok(!canReach(simulator.world, first, walled));
  assert.ok(!canReach(simulator.world, walled, first));
  // The ids of all machines of the app are in its DNS.
  const { id: secondId } = second.identity;
  assert.equal(internalVms(simulator.world, neighbour, "demo"), `${id} iad,${secondId} fra`);
  assert.equal(internalVms(simulator.world, walled, "demo"), "");
  await world.send(`POST /machines/${id}/stop`);
  await world.clock.advance(2_000);
  assert.equal(internalVms(simulator.world, first, "demo"), `${secondId} fra`);
});

Deno.test("hundreds of machines answer", async () => {
  await using world = await proxyWorld();
  const ids = new Set<string>();
  for (let n = 0; n < 300; n++) ids.add(await world.machine());
  await publish(world, "demo");
  const answered = new Set<string>();
  for (let n = 0; n < 100; n++) answered.add((await world.request("demo")).seen?.hostile ?? "");
  for (const id of answered) assert.ok(ids.has(id));
  assert.ok(answered.size > 60, `${answered.size} different machines answered 100 requests`);
});
