/** `timeout` and `fallback` of a replay: docs, dynamic-request-routing, "Replay Timeout and Fallback". */
import assert from "node:assert/strict";
import { proxyWorld, publish } from "../support/fly-proxy.ts";
import { lastCode, replayBy, replayByHeader, TWO_APPS } from "../support/fly-proxy-replay.ts";

Deno.test("fallback: the router gets the request back and may not replay it again", async () => {
  await using world = await proxyWorld(TWO_APPS);
  const router = await world.machine();
  await world.machine({ app: "other", env: { PORT: "3000" } });
  await publish(world, "demo");
  const value = "app=other;timeout=2s;fallback=force_self";
  const { seen } = await replayByHeader(world, router, value);
  assert.equal(seen?.hostile, router);
  assert.match(
    seen?.headers["fly-replay-failed"] ?? "",
    new RegExp(`^app=other;replay_source=${router};reason=retries_exhausted;elapsed_ms=\\d+$`),
  );
  const again = await replayBy(world, router, { headers: { "fly-replay": value } }, {
    query: "&always",
  });
  assert.deepEqual([again.status, lastCode(world)], [502, "PA03"]);
});

Deno.test("a replay's timeout makes it fail sooner", async () => {
  await using world = await proxyWorld(TWO_APPS);
  const router = await world.machine();
  const target = await world.machine({
    app: "other",
    service: { concurrency: { hard_limit: 0 } },
  });
  await publish(world, "demo");
  const beganMs = world.clock.now();
  const { status } = await replayByHeader(
    world,
    router,
    `app=other;instance=${target};timeout=800ms`,
  );
  assert.equal(status, 502);
  assert.ok(world.clock.now() - beganMs < 2_000);
});
