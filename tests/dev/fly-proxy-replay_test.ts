/** The rules of `fly-replay`: https://fly.io/docs/networking/dynamic-request-routing/ */
import assert from "node:assert/strict";
import { allowCrossNetworkReplays, allowReplaySource } from "../../dev/stack/fly/mod.ts";
import { answering, proxyWorld, publish, type Scripted } from "../support/fly-proxy.ts";
import { lastCode, replayBy, replayByHeader, TWO_APPS } from "../support/fly-proxy-replay.ts";

Deno.test("app= and instance= lead there; fly-replay-src says from where, with the state", async () => {
  await using world = await proxyWorld(TWO_APPS);
  const router = await world.machine({ region: "fra" });
  await world.machine({ app: "other" });
  const target = await world.machine({ app: "other" });
  await publish(world, "demo");
  for (let n = 0; n < 5; n++) {
    const value = `app=other;instance=${target};state=secret`;
    const { seen, headers } = await replayByHeader(world, router, value, {
      method: "POST",
      body: "kept",
      headers: { "fly-replay-src": "instance=forged" },
    });
    assert.equal(seen?.hostile, target);
    assert.equal(seen?.body, "kept");
    assert.equal(seen?.headers.host, "demo.fly.dev", "it is still the request to the router");
    const source = `instance=${router};region=fra;t=${world.clock.now() * 1_000};state=secret`;
    assert.equal(seen?.headers["fly-replay-src"], source);
    assert.equal(headers.get("fly-replay"), null, "the client does not see it");
  }
});

Deno.test("the target needs no address of its own", async () => {
  await using world = await proxyWorld(TWO_APPS);
  const router = await world.machine();
  const target = await world.machine({ app: "other" });
  await publish(world, "demo");
  assert.equal((await replayByHeader(world, router, "app=other")).seen?.hostile, target);
  await assert.rejects(world.request("other"), TypeError);
});

Deno.test("the port is that of the request", async () => {
  await using world = await proxyWorld(TWO_APPS);
  const router = await world.machine();
  await world.machine({ app: "other", service: { ports: [{ port: 8443, handlers: ["http"] }] } });
  await publish(world, "demo");
  assert.equal((await replayByHeader(world, router, "app=other")).status, 503);
});

Deno.test("region=, a list, and elsewhere", async () => {
  await using world = await proxyWorld();
  const router = await world.machine({ region: "iad" });
  const second = await world.machine({ region: "iad" });
  const far = await world.machine({ region: "fra" });
  await publish(world, "demo");
  const to = async (value: string) => (await replayByHeader(world, router, value)).seen?.hostile;
  const force = { headers: { "fly-force-instance-id": router } };
  assert.equal((await replayByHeader(world, router, "region=fra", force)).seen?.hostile, far);
  assert.equal((await replayByHeader(world, router, 'region="syd,eu"', force)).seen?.hostile, far);
  assert.equal((await replayByHeader(world, router, "region=syd", force)).status, 503);
  assert.equal(
    (await replayByHeader(world, router, "elsewhere=true", force)).seen?.hostile,
    second,
  );
  assert.equal(await to("region=fra") !== undefined, true);
});

Deno.test("instance= leads to that machine or nowhere, prefer_instance= to any", async () => {
  await using world = await proxyWorld({ settings: { wakesWithoutAutostart: "never" } });
  const router = await world.machine();
  const target = await world.machine();
  await publish(world, "demo");
  await world.send(`POST /machines/${target}/stop`);
  await world.clock.advance(200);
  assert.equal((await replayByHeader(world, router, `instance=${target}`)).status, 503);
  assert.equal(lastCode(world), "PR02");
  assert.equal((await replayByHeader(world, router, "instance=0000000000000a")).status, 503);
  const third = await world.machine();
  const { seen } = await replayByHeader(world, router, `prefer_instance=${target};elsewhere=true`);
  assert.equal(seen?.hostile, third);
  if (seen?.headers["fly-replay-src"]) {
    assert.equal(seen.headers["fly-preferred-instance-unavailable"], target);
  }
});

Deno.test("an unknown app, a machine of another app, a foreign organization: 502", async () => {
  await using world = await proxyWorld(TWO_APPS);
  world.simulator.addApp("foreign", "strangers");
  const router = await world.machine();
  const target = await world.machine({ app: "other" });
  await publish(world, "demo");
  const cases = [["app=nowhere", "PA04"], ["app=foreign", "PA05"], [`instance=${target}`, "PA03"]];
  for (const [value = "", code] of cases) {
    const { status, text } = await replayByHeader(world, router, value);
    assert.deepEqual([status, text, lastCode(world)], [502, "", code], value);
  }
});

Deno.test("a foreign organization's app answers once that organization allows it", async () => {
  await using world = await proxyWorld({ simulator: { tokens: ["fly-simulator-token"] } });
  world.simulator.addApp("foreign", "strangers");
  const router = await world.machine();
  await publish(world, "demo");
  allowReplaySource(world.simulator.world, "strangers", "personal");
  assert.equal(
    (await replayByHeader(world, router, "app=foreign")).status,
    503,
    "it has no machine",
  );
  assert.equal(lastCode(world), "PR04");
});

Deno.test("to another network only if the organization allows it", async () => {
  await using world = await proxyWorld();
  world.simulator.world.addApp("walled", "personal", "walled");
  const router = await world.machine();
  const target = await world.machine({ app: "walled" });
  await publish(world, "demo");
  assert.equal((await replayByHeader(world, router, "app=walled")).status, 502);
  assert.equal(lastCode(world), "PA05");
  allowCrossNetworkReplays(world.simulator.world, "personal");
  assert.equal((await replayByHeader(world, router, "app=walled")).seen?.hostile, target);
  allowCrossNetworkReplays(world.simulator.world, "personal", false);
  assert.equal((await replayByHeader(world, router, "app=walled")).status, 502);
});

Deno.test("invalid: 502", async () => {
  await using world = await proxyWorld();
  const router = await world.machine();
  await publish(world, "demo");
  const values = [
    "",
    "nonsense",
    "app=",
    "app=demo,instance=1",
    "region=iad,fra",
    "elsewhere=perhaps",
    "fallback=anyone",
    "timeout=soon",
    "application=demo",
    "app=demo;app=other",
    `instance=${router};prefer_instance=${router}`,
  ];
  for (const value of values) {
    assert.equal((await replayByHeader(world, router, value)).status, 502, value);
    assert.equal(lastCode(world), "PA03", value);
  }
});

Deno.test("ten replays are followed, the eleventh is one too many", async () => {
  await using world = await proxyWorld();
  const ids: string[] = [];
  for (let n = 0; n < 12; n++) ids.push(await world.machine());
  await publish(world, "demo");
  const follow = (replays: number) => {
    const answers = ids.slice(0, replays).map((id, n): [string, Scripted] => [
      id,
      { headers: { "fly-replay": `instance=${ids[n + 1]}` } },
    ]);
    const first = { headers: { "fly-force-instance-id": ids[0] ?? "" } };
    return world.request("demo", `/?${answering(Object.fromEntries(answers))}`, first);
  };
  assert.equal((await follow(10)).seen?.hostile, ids[10]);
  assert.equal((await follow(11)).status, 502);
  assert.equal(lastCode(world), "PA02");
});

Deno.test("elsewhere leaves no one when the answering machine is alone", async () => {
  await using world = await proxyWorld();
  const router = await world.machine();
  await publish(world, "demo");
  assert.equal((await replayByHeader(world, router, "elsewhere=true")).status, 503);
  assert.equal(lastCode(world), "PR04");
});

Deno.test("more than 1 MB cannot be replayed", async () => {
  await using world = await proxyWorld(TWO_APPS);
  const router = await world.machine();
  const target = await world.machine({ app: "other" });
  await publish(world, "demo");
  const post = (bytes: number) =>
    replayByHeader(world, router, "app=other", { method: "POST", body: "x".repeat(bytes) });
  assert.equal((await post(1_000_000)).seen?.hostile, target);
  assert.equal((await post(1_000_001)).status, 502);
  assert.equal(lastCode(world), "PA01");
});

Deno.test("the JSON form, with changes of path and headers", async () => {
  await using world = await proxyWorld(TWO_APPS);
  const router = await world.machine();
  const target = await world.machine({ app: "other" });
  await publish(world, "demo");
  const json = (body: unknown) =>
    replayBy(world, router, {
      headers: { "content-type": "application/vnd.fly.replay+json" },
      body: JSON.stringify(body),
    }, { headers: { "x-secret": "1", "x-old": "1" } });
  const { seen } = await json({
    app: "other",
    transform: {
      path: "/new?q=1",
      delete_headers: ["X-Secret"],
      set_headers: [{ name: "X-Old", value: "2" }],
    },
  });
  assert.equal(seen?.hostile, target);
  assert.equal(seen?.path, "/new?q=1");
  assert.deepEqual([seen?.headers["x-secret"], seen?.headers["x-old"]], [undefined, "2"]);
  assert.equal((await json({ app: 7 })).status, 502);
  assert.equal((await json({ app: "other", unknown: 1 })).status, 502);
});
