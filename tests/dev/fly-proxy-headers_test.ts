/** What the proxy adds and takes away: https://fly.io/docs/networking/request-headers/ */
import assert from "node:assert/strict";
import { proxyWorld, publish } from "../support/fly-proxy.ts";

Deno.test("a machine learns where the request came from", async () => {
  await using world = await proxyWorld();
  await world.machine();
  await publish(world, "demo");
  const { seen, headers } = await world.request("demo", "/", {
    method: "POST",
    body: "hello",
    headers: {
      "fly-client-ip": "192.0.2.1",
      "x-forwarded-for": "192.0.2.2",
      "x-forwarded-port": "8443",
      "fly-region": "syd",
      "x-own": "kept",
    },
  });
  assert.equal(seen?.method, "POST");
  assert.equal(seen?.body, "hello");
  const { headers: arrived } = seen ?? { headers: {} };
  assert.equal(arrived["fly-client-ip"], "127.0.0.1", "the client's own is overwritten");
  assert.equal(arrived["x-forwarded-for"], "192.0.2.2, 127.0.0.1", "and this one appended to");
  assert.equal(arrived["x-forwarded-port"], "8443", "set by the client");
  assert.equal(arrived["fly-forwarded-port"], "443", "always set by Fly.io");
  assert.equal(arrived["fly-region"], "iad");
  assert.equal(arrived["x-forwarded-proto"], "https");
  assert.equal(arrived["x-forwarded-ssl"], "on");
  assert.equal(arrived["x-own"], "kept");
  assert.match(arrived.via ?? "", /1\.1 fly\.io$/);

  assert.match(headers.get("fly-request-id") ?? "", /^[0-9A-Z]{26}-iad$/);
  assert.equal(headers.get("fly-request-id"), arrived["fly-request-id"]);
  assert.equal(headers.get("via"), "1.1 fly.io");
  assert.match(headers.get("server") ?? "", /^Fly\//);
  assert.equal(headers.get("access-control-allow-origin"), null, "the proxy adds no CORS");
});

Deno.test("a client's own fly-replay-src passes, unless a setting says otherwise", async () => {
  for (const passesClientReplayHeaders of [true, false]) {
    await using world = await proxyWorld({
      settings: passesClientReplayHeaders ? {} : { passesClientReplayHeaders },
    });
    await world.machine();
    await publish(world, "demo");
    const { seen } = await world.request("demo", "/", {
      headers: { "fly-replay-src": "instance=forged;state=guessed" },
    });
    const expected = passesClientReplayHeaders ? "instance=forged;state=guessed" : undefined;
    assert.equal(seen?.headers["fly-replay-src"], expected);
  }
});

Deno.test("answers of the proxy itself carry its headers too", async () => {
  await using world = await proxyWorld({ settings: { wakesWithoutAutostart: "never" } });
  const id = await world.machine();
  await publish(world, "demo");
  await world.send(`POST /machines/${id}/stop`);
  await world.clock.advance(200);
  const { status, headers, text } = await world.request("demo");
  assert.deepEqual([status, text], [503, ""]);
  assert.match(headers.get("fly-request-id") ?? "", /-iad$/);
});

Deno.test("a body of any size passes once", async () => {
  await using world = await proxyWorld();
  await world.machine();
  await publish(world, "demo");
  const body = "x".repeat(3_000_000);
  const { seen } = await world.request("demo", "/", { method: "PUT", body });
  assert.equal(seen?.body.length, body.length);
});
