/** How a name leads to an app: https://fly.io/docs/networking/services/ and the host of a request. */
import assert from "node:assert/strict";
import { request as sendRequest } from "node:http";
import { allocateAddress, PROMPT_PROXY_SETTINGS } from "../../dev/stack/fly/mod.ts";
import { proxyWorld, publish } from "../support/fly-proxy.ts";

/** `fetch` cannot set the Host header. @returns the status, or null without an answer */
function statusWithHost(url: string, host: string): Promise<number | null> {
  const { promise, resolve } = Promise.withResolvers<number | null>();
  const request = sendRequest(url, { headers: { host }, agent: false });
  request.on("response", (response) => {
    response.resume();
    response.on("end", () => resolve(response.statusCode ?? null));
  });
  request.on("error", () => resolve(null));
  request.end();
  return promise;
}

Deno.test("an app that was given no address has no name", async () => {
  await using world = await proxyWorld();
  await world.machine();
  await world.clock.advance(3_600_000);
  await assert.rejects(world.request("demo"), TypeError);
});

Deno.test("a Flycast address is in no public DNS", async () => {
  await using world = await proxyWorld();
  await world.machine();
  allocateAddress(world.simulator.world, "demo", "private_v6");
  await world.clock.advance(3_600_000);
  await assert.rejects(world.request("demo"), TypeError);
});

Deno.test("a name resolves 30 to 60 s after its address was assigned", async () => {
  await using world = await proxyWorld({ settings: { negativeDnsTtlMs: 0 } });
  await world.machine();
  allocateAddress(world.simulator.world, "demo", "shared_v4");
  allocateAddress(world.simulator.world, "demo", "v6");
  await world.clock.advance(29_999);
  await assert.rejects(world.request("demo"), TypeError);
  await world.clock.advance(30_001);
  assert.equal((await world.request("demo")).status, 200);
});

Deno.test("with a shared IPv4 address alone it takes minutes", async () => {
  await using world = await proxyWorld({ settings: { negativeDnsTtlMs: 0 } });
  await world.machine();
  allocateAddress(world.simulator.world, "demo", "shared_v4");
  await world.clock.advance(119_999);
  await assert.rejects(world.request("demo"), TypeError);
  await world.clock.advance(180_001);
  assert.equal((await world.request("demo")).status, 200);
});

Deno.test("who looks a name up too early is answered from a cache for a while", async () => {
  await using world = await proxyWorld({ settings: { dnsDelayMs: 30_000 } });
  await world.machine();
  allocateAddress(world.simulator.world, "demo", "v6");
  await world.clock.advance(29_000);
  await assert.rejects(world.request("demo"), TypeError, "this look-up is remembered for 60 s");
  await world.clock.advance(30_000);
  await assert.rejects(world.request("demo"), TypeError, "although the name exists by now");
  await world.clock.advance(30_000);
  assert.equal((await world.request("demo")).status, 200);
});

Deno.test("names resolve at once with the prompt settings", async () => {
  await using world = await proxyWorld({ settings: PROMPT_PROXY_SETTINGS });
  await world.machine();
  allocateAddress(world.simulator.world, "demo", "shared_v4");
  assert.equal((await world.request("demo")).status, 200);
});

Deno.test("the host is the Host header, or the first part of the path in its place", async () => {
  await using world = await proxyWorld({ simulator: { apps: ["demo", "other"] } });
  const inDemo = await world.machine();
  await world.machine({ app: "other" });
  await publish(world, "demo", "other");
  const { url } = world.proxy;
  assert.equal(await statusWithHost(`${url}/any/path`, "demo.fly.dev"), 200);
  assert.equal(await statusWithHost(`${url}/any/path`, "unknown.fly.dev"), null);
  assert.equal(await statusWithHost(`${url}/any/path`, "demo.example.com"), null);
  assert.equal(await statusWithHost(`${url}/demo.fly.dev/`, "127.0.0.1"), null);

  const { seen } = await world.request("demo", "/machines/machine-7?a=b");
  assert.equal(seen?.hostile, inDemo);
  assert.equal(seen?.path, "/machines/machine-7?a=b", "the part that stands for the name is gone");
  assert.equal(seen?.headers.host, "demo.fly.dev");
});

Deno.test("a name without a port means 443; port 80 is not TLS and may redirect", async () => {
  await using world = await proxyWorld();
  await world.machine({
    service: {
      ports: [{ port: 80, handlers: ["http"], force_https: true }, {
        port: 443,
        handlers: ["tls", "http"],
      }],
    },
  });
  await publish(world, "demo");
  const secure = await world.request("demo", "/a");
  assert.equal(secure.seen?.headers["x-forwarded-proto"], "https");
  const plain = await fetch(`${world.proxy.url}/host/demo.fly.dev:80/a?b`, { redirect: "manual" });
  await plain.body?.cancel();
  assert.equal(plain.status, 301);
  assert.equal(plain.headers.get("location"), "https://demo.fly.dev/a?b");
});

Deno.test("no service on the port: the connection is closed", async () => {
  await using world = await proxyWorld();
  await world.machine({ service: { ports: [{ port: 80, handlers: ["http"] }] } });
  await publish(world, "demo");
  await assert.rejects(world.request("demo"), TypeError);
  const plain = await fetch(`${world.proxy.url}/host/demo.fly.dev:80/`);
  assert.equal(plain.status, 200);
  await plain.body?.cancel();
});

Deno.test("443 without the tls handler, or without the http handler, answers no one", async () => {
  for (const handlers of [["http"], ["tls"], []]) {
    await using world = await proxyWorld();
    await world.machine({ service: { ports: [{ port: 443, handlers }] } });
    await publish(world, "demo");
    await assert.rejects(world.request("demo"), TypeError, handlers.join());
  }
});
