/** Suspended machines behind the proxy: https://fly.io/docs/reference/suspend-resume/ */
import assert from "node:assert/strict";
import { claims, KEY, MACHINE_ID, sign, USER_ID } from "../examples/tokens.ts";
import { ProxyClient, proxyWorld, publish, whileTimePasses } from "../support/fly-proxy.ts";

Deno.test("a suspended machine's connections break; on resume its memory is there or lost", async () => {
  const owner = "1b4e28ba-2fa1-41d2-883f-0016d3cca427";
  for (const [snapshotLossProbability, kept] of [[0, true], [1, false]] as const) {
    await using world = await proxyWorld({
      inProcess: false,
      settings: { snapshotLossProbability },
    });
    const id = await world.machine({
      image: "registry.fly.io/demo:v1",
      env: { MACHINE_ID, CONNECT_KEY: KEY },
      service: { autostart: true },
    });
    await publish(world, "demo");
    const url = `${world.proxy.address("demo").replace("http", "ws")}/?token=`;
    const first = new ProxyClient(url + sign(claims({ sub: owner })));
    assert.deepEqual(await first.next(), { machineId: MACHINE_ID, userId: owner });
    await world.send(`POST /machines/${id}/suspend`);
    await world.clock.advance(3_000);
    assert.equal(world.state(id), "suspended");
    assert.equal((await first.closed).wasClean, false);
    // The example image keeps its first user in memory.
    const second = new ProxyClient(url + sign(claims()));
    const greeted = await whileTimePasses(world.clock, second.next());
    assert.deepEqual(greeted, kept ? null : { machineId: MACHINE_ID, userId: USER_ID });
    await second.close();
  }
});

Deno.test("autostop suspend suspends where it can, and stops where not", async () => {
  await using world = await proxyWorld();
  const service = { autostart: true, autostop: "suspend" };
  const small = await world.machine({ service });
  const guest = { cpu_kind: "performance", cpus: 1, memory_mb: 4096 };
  const large = await world.machine({ service, config: { guest }, region: "fra" });
  await publish(world, "demo");
  await world.clock.advance(340_000);
  assert.deepEqual([world.state(small), world.state(large)], ["suspended", "stopped"]);
  const force = { headers: { "fly-force-instance-id": small } };
  assert.equal((await world.request("demo", "/", force)).seen?.hostile, small);
});
