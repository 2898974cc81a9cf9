/** Autostart and autostop: https://fly.io/docs/reference/fly-proxy-autostop-autostart/ */
import assert from "node:assert/strict";
import { FLY_RATE_LIMITS } from "../../dev/stack/fly/mod.ts";
import {
  answering,
  type MachineOptions,
  ProxyClient,
  type ProxyWorld,
  proxyWorld,
  publish,
} from "../support/fly-proxy.ts";
import { until } from "../support/until.ts";

const WAKES = { service: { autostart: true, autostop: "stop" } };

/** A machine that has stopped. */
async function stopped(world: ProxyWorld, options: MachineOptions): Promise<string> {
  const id = await world.machine(options);
  await world.send(`POST /machines/${id}/stop`);
  await world.clock.advance(2_000);
  assert.equal(world.state(id), "stopped");
  return id;
}

function webSocket({ proxy }: ProxyWorld): ProxyClient {
  return new ProxyClient(proxy.address("demo").replace("http", "ws"));
}

Deno.test("a request starts a stopped machine and is answered by it", async () => {
  await using world = await proxyWorld();
  const id = await stopped(world, WAKES);
  await publish(world, "demo");
  const answers = await Promise.all([world.request("demo"), world.request("demo")]);
  for (const { seen } of answers) assert.equal(seen?.hostile, id);
  assert.equal(world.state(id), "started");
});

Deno.test("a running machine below its soft limit is enough; above it another one starts", async () => {
  await using world = await proxyWorld();
  const service = { ...WAKES.service, concurrency: { soft_limit: 1 } };
  const first = await world.machine({ service });
  const second = await stopped(world, { service });
  await publish(world, "demo");
  assert.equal((await world.request("demo")).seen?.hostile, first);
  assert.equal(world.state(second), "stopped");
  const open = webSocket(world);
  await open.next();
  assert.equal((await world.request("demo")).seen?.hostile, second);
  await open.close();
});

Deno.test("without autostart a machine sleeps on, or may be woken: it is no lock", async () => {
  for (const [wakesWithoutAutostart, statuses] of [["never", [503]], ["always", [200]]] as const) {
    await using world = await proxyWorld({ settings: { wakesWithoutAutostart } });
    await stopped(world, { service: { autostart: false } });
    await publish(world, "demo");
    assert.deepEqual([(await world.request("demo")).status], statuses);
  }
  const seen = new Set<number>();
  for (let n = 0; n < 12; n++) {
    await using world = await proxyWorld({ simulator: { random: random(n) } });
    await stopped(world, { service: {} });
    await publish(world, "demo");
    seen.add((await world.request("demo")).status);
  }
  assert.deepEqual([...seen].sort(), [200, 503], "by default, sometimes");
});

/** Draws that differ between runs of a loop and are the same in every run of the test. */
function random(seed: number): () => number {
  let state = seed * 7_919 + 1;
  return () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647;
}

Deno.test("one of several machines is woken without autostart only if the request means it", async () => {
  await using world = await proxyWorld({ settings: { wakesWithoutAutostart: "always" } });
  const id = await stopped(world, { service: {} });
  await stopped(world, { service: {} });
  await publish(world, "demo");
  assert.equal((await world.request("demo")).status, 503);
  const force = { headers: { "fly-force-instance-id": id } };
  assert.equal((await world.request("demo", "/", force)).seen?.hostile, id);
});

Deno.test("a replay to a stopped machine starts it", async () => {
  await using world = await proxyWorld({ simulator: { apps: ["demo", "other"] } });
  const router = await world.machine();
  const target = await world.machine({ app: "other", ...WAKES });
  world.simulator.stopMachine(target);
  await world.clock.advance(2_000);
  await publish(world, "demo");
  const query = answering({
    [router]: { headers: { "fly-replay": `app=other;instance=${target}` } },
  });
  const { seen } = await world.request("demo", `/?${query}`);
  assert.equal(seen?.hostile, target);
});

Deno.test("a machine that does not come up in time: 503", async () => {
  await using world = await proxyWorld();
  const id = await stopped(world, WAKES);
  await publish(world, "demo");
  world.simulator.configure({ startDelayMs: 60_000 });
  assert.equal((await world.request("demo")).status, 503);
  assert.equal(world.proxy.log.at(-1)?.code, "PM03");
  assert.equal(world.proxy.log.at(-1)?.machineId, id);
});

Deno.test("a host without room refuses the start: 503", async () => {
  await using world = await proxyWorld();
  await stopped(world, WAKES);
  await publish(world, "demo");
  world.simulator.setCapacity("iad", false);
  assert.equal((await world.request("demo")).status, 503);
  assert.equal(world.proxy.log.at(-1)?.code, "PM07");
});

Deno.test("the proxy's own starts meet the machine's rate limit", async () => {
  await using world = await proxyWorld({
    simulator: {
      settings: { rateLimits: { ...FLY_RATE_LIMITS, other: { perSecond: 0.01, burst: 1 } } },
    },
  });
  const id = await stopped(world, WAKES);
  await publish(world, "demo");
  assert.equal((await world.request("demo")).status, 200);
  world.simulator.stopMachine(id);
  await world.clock.advance(2_000);
  assert.equal((await world.request("demo")).status, 503);
  assert.match(world.proxy.log.at(-1)?.message ?? "", /rate limit exceeded/);
});

Deno.test("an idle machine stops at the next pass, one with an open WebSocket does not", async () => {
  await using world = await proxyWorld();
  const id = await world.machine(WAKES);
  await publish(world, "demo");
  const open = webSocket(world);
  await open.next();
  await world.clock.advance(3_600_000);
  assert.equal(world.state(id), "started");
  await open.close();
  await until("the connection is gone", () => world.proxy.load(id) === 0);
  await world.clock.advance(331_000);
  assert.equal(world.state(id), "stopped");
});

Deno.test("autostop off, or unset, never stops a machine", async () => {
  await using world = await proxyWorld();
  const ids = [
    await world.machine({ service: { autostop: "off" } }),
    await world.machine({ service: { autostop: false }, region: "fra" }),
    await world.machine({ region: "lhr" }),
  ];
  await world.clock.advance(3_600_000);
  for (const id of ids) assert.equal(world.state(id), "started");
});

Deno.test("a pass stops one machine of an app in a region, and of each region", async () => {
  await using world = await proxyWorld({ settings: { autostopEveryMs: 1e12 } });
  const near = [await world.machine(WAKES), await world.machine(WAKES), await world.machine(WAKES)];
  const far = await world.machine({ ...WAKES, region: "fra" });
  const running = () => near.filter((id) => world.state(id) === "started").length;
  for (const left of [2, 1, 0]) {
    world.proxy.autostopPass();
    await world.clock.advance(200);
    assert.equal(running(), left);
    assert.equal(world.state(far), "stopped");
  }
});

Deno.test("machines above their soft limit are needed, and one more", async () => {
  await using world = await proxyWorld({ settings: { autostopEveryMs: 1e12 } });
  const service = { ...WAKES.service, concurrency: { soft_limit: 1 } };
  const ids = [await world.machine({ service }), await world.machine({ service })];
  await publish(world, "demo");
  const open = [];
  // Four connections: both machines are above their limit of 1.
  for (let n = 0; n < 4; n++) {
    const client = webSocket(world);
    await client.next();
    open.push(client);
  }
  world.proxy.autostopPass();
  await world.clock.advance(200);
  assert.equal(ids.filter((id) => world.state(id) === "started").length, 2);
  for (const client of open) await client.close();
});

Deno.test("of several machines one may be stopped although it has connections: they get a close frame", async () => {
  await using world = await proxyWorld({ settings: { autostopEveryMs: 1e12 } });
  await world.machine(WAKES);
  await world.machine(WAKES);
  await publish(world, "demo");
  const open = [];
  // One after the other, so that each machine has one.
  for (let n = 0; n < 2; n++) {
    const client = webSocket(world);
    await client.next();
    open.push(client);
  }
  world.proxy.autostopPass();
  await world.clock.advance(200);
  const { code, wasClean } = await Promise.race(open.map(({ closed }) => closed));
  assert.deepEqual([code, wasClean], [1001, true]);
  for (const client of open) await client.close();
});

Deno.test("min_machines_running holds in the primary region alone", async () => {
  await using world = await proxyWorld();
  const service = { ...WAKES.service, min_machines_running: 1 };
  const env = { PRIMARY_REGION: "iad" };
  const primary = await world.machine({ service, env, region: "iad" });
  const other = await world.machine({ service, env, region: "fra" });
  await world.clock.advance(3_600_000);
  assert.equal(world.state(primary), "started");
  assert.equal(world.state(other), "stopped");
});
