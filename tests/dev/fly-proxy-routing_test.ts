/** Which machine gets a request: https://fly.io/docs/reference/load-balancing/ */
import assert from "node:assert/strict";
import { allocateAddress } from "../../dev/stack/fly/mod.ts";
import { ProxyClient, type ProxyWorld, proxyWorld, publish } from "../support/fly-proxy.ts";

/** Who answered how many of `count` requests. */
async function tally(world: ProxyWorld, count: number, init?: RequestInit, path = "/") {
  const answered = new Map<string, number>();
  for (let n = 0; n < count; n++) {
    const { seen, status } = await world.request("demo", path, init);
    assert.equal(status, 200);
    answered.set(seen?.hostile ?? "", (answered.get(seen?.hostile ?? "") ?? 0) + 1);
  }
  return answered;
}

/** A WebSocket to the app, and the id of the machine that took it. */
async function connect(world: ProxyWorld): Promise<{ client: ProxyClient; id: string }> {
  const client = new ProxyClient(world.proxy.address("demo").replace("http", "ws"));
  const greeting = await client.next();
  const id = typeof greeting === "object" && greeting !== null
    ? String(Reflect.get(greeting, "hostile"))
    : "";
  return { client, id };
}

Deno.test("a machine named in the path gets no more requests than the others", async () => {
  await using world = await proxyWorld();
  const ids = [await world.machine(), await world.machine(), await world.machine()];
  await publish(world, "demo");
  const answered = await tally(world, 60, {}, `/machines/${ids[0]}`);
  assert.deepEqual([...answered.keys()].sort(), ids.toSorted());
  for (const count of answered.values()) assert.ok(count > 8 && count < 36, String(count));
});

Deno.test("the machine with the fewest open connections is next", async () => {
  await using world = await proxyWorld();
  for (let n = 0; n < 4; n++) await world.machine();
  await publish(world, "demo");
  const open = [];
  for (let n = 0; n < 8; n++) open.push(await connect(world));
  const perMachine = Map.groupBy(open, ({ id }) => id);
  assert.deepEqual([...perMachine.values()].map(({ length }) => length), [2, 2, 2, 2]);
  for (const { client } of open) await client.close();
});

Deno.test("a cordoned machine gets no requests, and none wakes it (docs, machines-resource)", async () => {
  await using world = await proxyWorld();
  const cordoned = await world.machine({ service: { autostart: true } });
  const other = await world.machine();
  await publish(world, "demo");
  await world.send(`POST /machines/${cordoned}/cordon`);
  assert.deepEqual([...(await tally(world, 20)).keys()], [other]);
  await world.send(`POST /machines/${cordoned}/stop`);
  await world.send(`DELETE /machines/${other}?force=true`);
  await world.clock.advance(2000);
  assert.equal((await world.request("demo")).status, 503);
  assert.equal(world.state(cordoned), "stopped");
  await world.send(`POST /machines/${cordoned}/uncordon`);
  assert.equal((await world.request("demo")).status, 200);
});

Deno.test("another region gets requests only when the edge's own has no one left", async () => {
  await using world = await proxyWorld();
  const near = await world.machine({ region: "iad" });
  const far = await world.machine({ region: "fra" });
  await publish(world, "demo");
  assert.deepEqual([...(await tally(world, 20)).keys()], [near]);
  await world.send(`POST /machines/${near}/stop`);
  await world.clock.advance(200);
  assert.deepEqual([...(await tally(world, 5)).keys()], [far]);
});

Deno.test("at its hard limit a machine gets nothing; the request waits, and at last is 503", async () => {
  await using world = await proxyWorld();
  await world.machine({ service: { concurrency: { type: "connections", hard_limit: 1 } } });
  await publish(world, "demo");
  const first = await connect(world);
  const late = await world.request("demo");
  assert.equal(late.status, 503);
  assert.equal(world.proxy.log.at(-1)?.code, "PR04");
  const waiting = world.request("demo");
  await first.client.close();
  assert.equal((await waiting).status, 200);
});

Deno.test("a machine is unknown for a moment after its start", async () => {
  await using world = await proxyWorld({ settings: { unknownAfterStartMs: 1_500 } });
  await world.machine();
  await world.send("GET /machines");
  await publish(world, "demo");
  assert.equal((await world.request("demo")).status, 200);
  const second = await proxyWorld({ settings: { unknownAfterStartMs: 1_500, dnsDelayMs: 0 } });
  await using _ = second;
  allocateAddress(second.simulator.world, "demo", "v6");
  await second.machine();
  assert.equal((await second.request("demo")).status, 503);
  await second.clock.advance(1_500);
  assert.equal((await second.request("demo")).status, 200);
});

Deno.test("an image that listens on another port or on loopback refuses: 502", async () => {
  for (
    const options of [
      { env: { PORT: "3000" } },
      { service: { internal_port: 3000 } },
      { env: { HOST: "127.0.0.1" } },
    ]
  ) {
    await using world = await proxyWorld();
    await world.machine(options);
    await publish(world, "demo");
    assert.equal((await world.request("demo")).status, 502);
    assert.equal(world.proxy.log.at(-1)?.code, "PC01");
  }
});

Deno.test("a machine that refuses makes way for another one", async () => {
  await using world = await proxyWorld();
  await world.machine({ env: { PORT: "3000" } });
  const good = await world.machine();
  await publish(world, "demo");
  assert.deepEqual([...(await tally(world, 10)).keys()], [good]);
});

Deno.test("without a started machine the answer is 503", async () => {
  await using world = await proxyWorld({ settings: { wakesWithoutAutostart: "never" } });
  const id = await world.machine();
  await publish(world, "demo");
  await world.send(`POST /machines/${id}/stop`);
  await world.clock.advance(200);
  assert.equal((await world.request("demo")).status, 503);
  await world.send(`DELETE /machines/${id}`);
  await world.clock.advance(200);
  assert.equal((await world.request("demo")).status, 503);
});

Deno.test("a machine on a host that is lost gets nothing", async () => {
  await using world = await proxyWorld();
  const id = await world.machine();
  await publish(world, "demo");
  assert.equal((await world.request("demo")).status, 200);
  world.simulator.operator.setHost(id, { status: "unreachable" });
  assert.equal((await world.request("demo")).status, 503);
});

Deno.test("fly-force-instance-id: that machine or an error, and never by name", async () => {
  await using world = await proxyWorld({ simulator: { apps: ["demo", "other"] } });
  await world.machine({ name: "one" });
  const second = await world.machine({ name: "two" });
  const elsewhere = await world.machine({ app: "other" });
  await publish(world, "demo");
  const force = (id: string) => ({ headers: { "fly-force-instance-id": id } });
  assert.deepEqual([...(await tally(world, 10, force(second))).keys()], [second]);
  const { seen } = await world.request("demo", "/", force(second));
  assert.equal(seen?.headers["fly-force-instance-id"], undefined, "the machine does not see it");
  for (const id of ["two", "0000000000000a", elsewhere]) {
    assert.equal((await world.request("demo", "/", force(id))).status, 503, id);
    assert.equal(world.proxy.log.at(-1)?.code, "PR02");
  }
});

Deno.test("fly-prefer-instance-id: that machine, or any, which learns what was missed", async () => {
  await using world = await proxyWorld();
  const first = await world.machine();
  const second = await world.machine();
  await publish(world, "demo");
  const prefer = { headers: { "fly-prefer-instance-id": second } };
  assert.deepEqual([...(await tally(world, 10, prefer)).keys()], [second]);
  await world.send(`POST /machines/${second}/stop`);
  await world.clock.advance(200);
  const { seen } = await world.request("demo", "/", prefer);
  assert.equal(seen?.hostile, first);
  assert.equal(seen?.headers["fly-preferred-instance-unavailable"], second);
});

Deno.test("fly-force-region and fly-prefer-region, in order, with groups", async () => {
  await using world = await proxyWorld();
  const near = await world.machine({ region: "iad" });
  const far = await world.machine({ region: "fra" });
  await publish(world, "demo");
  const by = async (name: string, value: string) =>
    (await world.request("demo", "/", { headers: { [name]: value } })).seen?.hostile;
  assert.equal(await by("fly-prefer-region", "fra"), far);
  assert.equal(await by("fly-prefer-region", "syd,eu"), far);
  assert.equal(await by("fly-prefer-region", "syd"), near);
  assert.equal(await by("fly-force-region", "syd,fra,iad"), far);
  assert.equal(await by("fly-force-region", "syd"), undefined);
});
