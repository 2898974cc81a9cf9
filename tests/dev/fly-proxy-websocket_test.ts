/** WebSockets through the proxy. */
import assert from "node:assert/strict";
import { answering, ProxyClient, proxyWorld, publish } from "../support/fly-proxy.ts";

Deno.test("messages pass both ways, large ones too, and so do close codes of the client", async () => {
  await using world = await proxyWorld();
  await world.machine();
  await publish(world, "demo");
  const client = new ProxyClient(`${world.proxy.address("demo").replace("http", "ws")}/a?b=c`);
  const greeting = await client.next();
  assert.equal(Reflect.get(Object(greeting), "path"), "/a?b=c");
  for (const text of ["", "hello", "x".repeat(200), "y".repeat(100_000)]) {
    client.send(text);
    assert.deepEqual(await client.next(), { stolen: text });
  }
  client.send("close 4321");
  const { code, reason } = await client.closed;
  assert.deepEqual([code, reason], [4321, "as you wish"]);
});

Deno.test("a machine that refuses the WebSocket is heard", async () => {
  await using world = await proxyWorld();
  const id = await world.machine();
  await publish(world, "demo");
  const query = answering({ [id]: { status: 401, body: "no" } });
  const client = new ProxyClient(
    `${world.proxy.address("demo").replace("http", "ws")}/?${query}`,
  );
  assert.match(await client.refusal(), /401/);
});

Deno.test("a replay leads a WebSocket on; the router never upgrades it", async () => {
  await using world = await proxyWorld({ simulator: { apps: ["demo", "other"] } });
  const router = await world.machine();
  await world.machine({ app: "other" });
  const target = await world.machine({ app: "other" });
  await publish(world, "demo");
  const query = answering({
    [router]: { headers: { "fly-replay": `app=other;instance=${target};state=s` } },
  });
  const url = world.proxy.address("demo").replace("http", "ws");
  const client = new ProxyClient(`${url}/machine-7?${query}`);
  const greeting = Object(await client.next());
  assert.equal(greeting.hostile, target);
  assert.match(greeting.headers["fly-replay-src"], /;state=s$/);
  client.send("hello");
  assert.deepEqual(await client.next(), { stolen: "hello" });
  await client.close();
});

Deno.test("a machine that is stopped closes its WebSockets with 1001", async () => {
  await using world = await proxyWorld({ simulator: { apps: ["demo"] } });
  const id = await world.machine();
  await publish(world, "demo");
  const client = new ProxyClient(world.proxy.address("demo").replace("http", "ws"));
  await client.next();
  await world.send(`POST /machines/${id}/stop`);
  assert.equal((await client.closed).code, 1001);
});

Deno.test("of a machine that is killed no close frame comes", async () => {
  await using world = await proxyWorld();
  const id = await world.machine();
  await publish(world, "demo");
  for (const how of ["fail", "kill"]) {
    if (how === "kill") {
      await world.clock.advance(1000);
      await world.send(`POST /machines/${id}/start`);
      await world.clock.advance(300);
    }
    const client = new ProxyClient(world.proxy.address("demo").replace("http", "ws"));
    assert.notEqual(await client.next(), null);
    if (how === "fail") world.simulator.failMachine(id, { state: "stopped", exitCode: 137 });
    else world.simulator.killMachine(id);
    const { code, wasClean } = await client.closed;
    // Deno says 0 where browsers say 1006.
    assert.deepEqual([[0, 1006].includes(code), wasClean], [true, false], how);
  }
});

Deno.test("an open WebSocket outlives a machine's being unknown to new requests", async () => {
  await using world = await proxyWorld();
  await world.machine();
  await publish(world, "demo");
  const client = new ProxyClient(world.proxy.address("demo").replace("http", "ws"));
  await client.next();
  await world.clock.advance(3_600_000);
  client.send("still there?");
  assert.deepEqual(await client.next(), { stolen: "still there?" });
  await client.close();
});

Deno.test("shutdown closes what is open", async () => {
  const world = await proxyWorld();
  await world.machine();
  await publish(world, "demo");
  const client = new ProxyClient(world.proxy.address("demo").replace("http", "ws"));
  await client.next();
  await world.proxy.shutdown();
  assert.equal((await client.closed).code, 1001);
});
