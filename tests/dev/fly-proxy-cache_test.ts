/** Cached replays: docs, dynamic-request-routing, "Replay Caching". */
import assert from "node:assert/strict";
import {
  answering,
  type Passed,
  type ProxyWorld,
  proxyWorld,
  publish,
} from "../support/fly-proxy.ts";
import { TWO_APPS } from "../support/fly-proxy-replay.ts";

interface Setting {
  world: ProxyWorld;
  router: string;
  target: string;
}

async function setting(world: ProxyWorld): Promise<Setting> {
  const router = await world.machine();
  const target = await world.machine({ app: "other" });
  await publish(world, "demo");
  return { world, router, target };
}

/** A request to which the router answers with these headers. */
function replay({ world, router }: Setting, path: string, headers: Record<string, string>) {
  const answer = { headers: { "fly-replay": "app=other", ...headers } };
  return world.request("demo", `${path}?${answering({ [router]: answer })}`);
}

function signs({ seen }: Passed) {
  return [
    seen?.headers["fly-replay-cache-status"],
    seen?.headers["fly-replay-src"] !== undefined,
  ];
}

const CACHED = { "fly-replay-cache": "/a/*", "fly-replay-cache-ttl-secs": "10" };

Deno.test("once cached, the router is not asked, and the machine sees no fly-replay-src", async () => {
  await using world = await proxyWorld(TWO_APPS);
  const parts = await setting(world);
  assert.deepEqual(signs(await replay(parts, "/a/1", CACHED)), ["miss", true]);
  for (const path of ["/a", "/a/2", "/a/2/b?c"]) {
    const passed = await world.request("demo", path);
    assert.equal(passed.seen?.hostile, parts.target, path);
    assert.deepEqual(signs(passed), ["hit", false], path);
  }
  for (const path of ["/", "/ab", "/b/a/"]) {
    assert.equal((await world.request("demo", path)).seen?.hostile, parts.router, path);
  }
  await world.clock.advance(10_000);
  assert.equal((await world.request("demo", "/a/2")).seen?.hostile, parts.router);
});

Deno.test("the longest pattern wins, and an invalidation removes it", async () => {
  await using world = await proxyWorld(TWO_APPS);
  const parts = await setting(world);
  await replay(parts, "/a/b", { ...CACHED, "fly-replay-cache": "/a/b" });
  const skip = { headers: { "fly-replay-cache-control": "skip" } };
  const again = await world.request("demo", "/a/b", skip);
  assert.equal(again.seen?.hostile, parts.target, "a bypass has to be allowed");
  const answer = { headers: { "fly-replay": "app=demo", "fly-replay-cache": "invalidate" } };
  const path = `/a/b?${answering({ [parts.target]: answer })}`;
  assert.equal((await world.request("demo", path)).seen?.hostile, parts.router);
  assert.equal((await world.request("demo", "/a/b")).seen?.hostile, parts.router);
});

Deno.test("a client may skip the cache where the router allows it", async () => {
  await using world = await proxyWorld(TWO_APPS);
  const parts = await setting(world);
  await replay(parts, "/a/1", { ...CACHED, "fly-replay-cache-allow-bypass": "yes" });
  const skip = { headers: { "fly-replay-cache-control": "skip" } };
  assert.equal((await world.request("demo", "/a/2", skip)).seen?.hostile, parts.router);
  assert.equal((await world.request("demo", "/a/2")).seen?.hostile, parts.target);
});

Deno.test("what may not be cached is 502", async () => {
  await using world = await proxyWorld(TWO_APPS);
  const parts = await setting(world);
  const wrong: Record<string, string>[] = [
    { ...CACHED, "fly-replay": "app=other;state=secret" },
    { ...CACHED, "fly-replay": "app=other;timeout=1s" },
    { ...CACHED, "fly-replay": "app=other;fallback=force_self" },
    { ...CACHED, "fly-replay-cache-ttl-secs": "9" },
    { "fly-replay-cache": "/a/*" },
    { ...CACHED, "fly-replay-cache": "/b/*" },
  ];
  for (const headers of wrong) {
    const { status } = await replay(parts, "/a/1", headers);
    assert.equal(status, 502, JSON.stringify(headers));
    assert.equal(world.proxy.log.at(-1)?.code, "PA03");
  }
});
