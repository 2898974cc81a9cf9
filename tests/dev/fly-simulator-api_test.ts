/** The simulator's API: lists, metadata, sizes, refusals, tokens and rate limits. */
import assert from "node:assert/strict";
import { z } from "zod";
import { CAPACITY_VARIANT_NAMES, FlySimulator } from "../../dev/stack/fly/mod.ts";
import { caller, MACHINE, virtualSimulator } from "../support/fly-simulator.ts";

Deno.test("list filters by region, state and metadata, and summarizes", async () => {
  const { clock, send, create } = virtualSimulator();
  const machine = (name: string, region: string, metadata: Record<string, string>) => ({
    name,
    region,
    config: { image: "nginx", metadata },
  });
  await create(machine("a", "iad", { row: "1", by: "us" }));
  await create(machine("b", "fra", { row: "2", by: "us" }));
  await clock.advance(300);
  await create(machine("c", "fra", { row: "3", by: "them" }));
  const names = async (query: string) =>
    (await send(`GET /machines?${query}`)).items.map(({ name }) => name);
  assert.deepEqual(await names(""), ["a", "b", "c"]);
  assert.deepEqual(await names("region=fra"), ["b", "c"]);
  assert.deepEqual(await names("state=created"), ["c"]);
  assert.deepEqual(await names("state=created,started&region=fra"), ["b", "c"]);
  assert.deepEqual(await names("metadata.by=us"), ["a", "b"]);
  assert.deepEqual(await names("metadata.by=us&metadata.row=2"), ["b"]);
  assert.deepEqual(await names("metadata.by=nobody"), []);
  const full = await send("GET /machines");
  const short = await send("GET /machines?summary=true");
  const members = (json: unknown) => Object.keys(z.array(z.looseObject({})).parse(json)[0] ?? {});
  const left = ["config", "incomplete_config", "events", "checks", "host_status"];
  assert.deepEqual(
    members(full.json).filter((member) => !members(short.json).includes(member)),
    left,
  );
  assert.equal(short.items[0]?.id, full.items[0]?.id);
});

Deno.test("metadata is read, set and deleted", async () => {
  const { send, create } = virtualSimulator();
  const id = await create();
  assert.deepEqual((await send(`GET /machines/${id}/metadata`)).json, {});
  const set = await send(`POST /machines/${id}/metadata/row`, { value: "42" });
  assert.deepEqual([set.status, set.json], [204, undefined]);
  assert.deepEqual((await send(`GET /machines/${id}/metadata`)).json, { row: "42" });
  assert.equal((await send("GET /machines?metadata.row=42")).items.length, 1);
  assert.equal((await send(`POST /machines/${id}/metadata/row`, { value: 42 })).status, 400);
  assert.equal((await send(`DELETE /machines/${id}/metadata/row`)).status, 204);
  assert.deepEqual((await send(`GET /machines/${id}/metadata`)).json, {});
});

Deno.test("a full region refuses in every documented way, and its neighbour does not", async () => {
  for (const variant of CAPACITY_VARIANT_NAMES) {
    const { simulator, send } = virtualSimulator();
    simulator.setCapacity("iad", false, variant);
    const refused = await send("POST /machines", { ...MACHINE, region: "iad" });
    assert.equal(refused.status, Number(variant.slice(0, 3)));
    const says = refused.body.status === "insufficient_capacity" ||
      /insufficient (resources|memory)|no capacity/.test(refused.body.error);
    assert.ok(says, JSON.stringify(refused.json));
    assert.equal((await send("POST /machines", { ...MACHINE, region: "fra" })).status, 200);
    simulator.setCapacity("iad", true);
    const again = await send("POST /machines", { ...MACHINE, name: "again", region: "iad" });
    assert.equal(again.status, 200);
  }
});

Deno.test("a malformed create is refused and creates nothing", async () => {
  const config = MACHINE.config;
  const guest = (guest: unknown) => ({ config: { ...config, guest } });
  const refused: [body: unknown, status: number, error: RegExp][] = [
    [{}, 400, /config is required/],
    [{ config: {} }, 400, /config\.image is required/],
    [{ config: { image: 7 } }, 400, /cannot unmarshal number .*config\.image of type string/],
    [[], 400, /cannot unmarshal array/],
    [{ name: "a b", config }, 400, /invalid machine name 'a b'/],
    [{ region: "xyz", config }, 400, /region 'xyz' not found/],
    [
      { config: { ...config, env: { A: 1 } } },
      400,
      /cannot unmarshal number .*env\.A of type string/,
    ],
    [guest({ cpus: 1, memory_mb: 256 }), 400, /^invalid config\.guest\.cpu_kind/],
    [guest({ cpu_kind: "shared", cpus: 5, memory_mb: 2048 }), 400, /^invalid config\.guest\.cpus/],
    [
      guest({ cpu_kind: "shared", cpus: 4, memory_mb: 512 }),
      400,
      /^invalid config\.guest\.memory_mb, minimum required 1024 MiB$/,
    ],
    [
      guest({ cpu_kind: "shared", cpus: 1, memory_mb: 4096 }),
      400,
      /^invalid config\.guest\.memory_mb, cannot exceed 2048 MiB$/,
    ],
    [guest({ cpu_kind: "shared", cpus: 1, memory_mb: 300 }), 400, /multiple of 256/],
    [
      guest({ cpu_kind: "performance", cpus: 8, memory_mb: 8192 }),
      400,
      /minimum required 16384 MiB$/,
    ],
  ];
  const { simulator, send } = virtualSimulator();
  for (const [body, status, error] of refused) {
    const reply = await send("POST /machines", body);
    assert.equal(reply.status, status, JSON.stringify(body));
    assert.match(reply.body.error, error);
    assert.ok(reply.headers.get("fly-request-id"));
  }
  assert.deepEqual(simulator.machines(), []);
  assert.ok(simulator.requests().every(({ tookEffect }) => !tookEffect));
});

Deno.test("the three sizes of the contract are accepted as they are", async () => {
  const { send } = virtualSimulator();
  for (
    const guest of [
      { cpu_kind: "shared", cpus: 1, memory_mb: 256 },
      { cpu_kind: "shared", cpus: 2, memory_mb: 512 },
      { cpu_kind: "performance", cpus: 1, memory_mb: 2048 },
    ]
  ) {
    const { body } = await send("POST /machines", { config: { image: "nginx", guest } });
    assert.deepEqual(body.config.guest, guest);
    assert.match(body.name, /^[a-z]+-[a-z]+-\d{4}$/, "a name is generated");
  }
});

Deno.test("tokens: Bearer, FlyV1, both, none, wrong, and one for another app", async () => {
  const { simulator, send } = virtualSimulator({
    apps: ["demo", "other"],
    tokens: ["plain", "FlyV1 fm2_all", { token: "fm2_other", apps: ["other"] }],
  });
  const cases: [authorization: string | null, status: number][] = [
    ["Bearer plain", 200],
    ["bearer plain", 200],
    ["FlyV1 fm2_all", 200],
    ["FlyV1 fm2_stale,fm2_all", 200],
    ["Bearer FlyV1 fm2_all", 200],
    ["FlyV1 fm2_other", 403],
    ["Bearer wrong", 401],
    ["Bearer ", 401],
    ["plain", 401],
    ["Basic plain", 401],
    [null, 401],
  ];
  for (const [authorization, status] of cases) {
    const headers: HeadersInit = authorization === null ? {} : { authorization };
    const reply = await send("GET /machines", undefined, headers);
    assert.equal(reply.status, status, String(authorization));
    if (status === 401) {
      assert.deepEqual(reply.json, { error: "Authenticate: token validation error" });
    }
  }
  assert.deepEqual(
    [...new Set(simulator.requests().map(({ authorizationScheme }) => authorizationScheme))],
    ["Bearer", "FlyV1", "Bearer FlyV1", "other", "none"],
  );
  const log = JSON.stringify(simulator.requests());
  for (const secret of ["plain", "fm2_", "wrong"]) assert.ok(!log.includes(secret), secret);
});

Deno.test("an app that does not exist is 404 for every action", async () => {
  const { clock, simulator } = virtualSimulator({ apps: [] });
  const send = caller((request) => simulator.fetch(request));
  for (const call of ["GET ", "GET /machines", "POST /machines", "GET /machines/x/wait"]) {
    const { status, json } = await clock.run(
      send(call, call.startsWith("POST") ? MACHINE : undefined),
    );
    assert.deepEqual([status, json], [404, { error: "Could not find App" }], call);
  }
});

Deno.test("paths that Fly.io has and the simulator does not are 501, all others 404", async () => {
  const { send, create } = virtualSimulator();
  const id = await create();
  for (const call of [`POST /machines/${id}/exec`, "GET /volumes", "GET /secrets"]) {
    const { status, body } = await send(call);
    assert.equal(status, 501, call);
    assert.match(body.error, /does not model/);
  }
  for (const call of ["PUT /machines", `GET /machines/${id}/start`, "GET /nonsense"]) {
    assert.equal((await send(call)).status, 404, call);
  }
});

Deno.test("rate limits: creates 1 per second and bursts of 3 per app, gets 5 and 10 per machine", async () => {
  const { clock, simulator, send } = virtualSimulator({ apps: ["demo", "other"] });
  simulator.configure({ rateLimits: new FlySimulator().settings.rateLimits });
  const statuses = async (call: string, times: number, body?: unknown) => {
    const seen = [];
    for (let i = 0; i < times; i++) seen.push((await send(call, body)).status);
    return seen;
  };
  const unnamed = { config: MACHINE.config };
  assert.deepEqual(await statuses("POST /machines", 5, unnamed), [200, 200, 200, 429, 429]);
  const { status, json } = await send("POST /machines", unnamed);
  assert.deepEqual([status, json], [429, { error: "rate limit exceeded" }]);
  await clock.advance(999);
  assert.deepEqual(await statuses("POST /machines", 1, unnamed), [429]);
  await clock.advance(1);
  assert.deepEqual(await statuses("POST /machines", 2, unnamed), [200, 429]);
  assert.equal(simulator.machines().length, 4);

  const [first, second] = simulator.machines().map(({ id }) => id);
  const tenThen = [...Array(10).fill(200), 429];
  assert.deepEqual(await statuses(`GET /machines/${first}`, 11), tenThen);
  assert.deepEqual(await statuses(`GET /machines/${second}`, 11), tenThen, "its own bucket");
  await clock.advance(200);
  assert.deepEqual(await statuses(`GET /machines/${first}`, 2), [200, 429]);
  await clock.advance(3_600_000);
  assert.deepEqual(
    await statuses(`GET /machines/${first}`, 11),
    tenThen,
    "a pause saves 10 at most",
  );
  assert.deepEqual(await statuses("GET /machines", 4), [200, 200, 200, 429]);
  simulator.configure({ rateLimits: null });
  assert.deepEqual(await statuses("GET /machines", 4), [200, 200, 200, 200]);
});

Deno.test("a refusal by the rate limit costs nothing: steady callers get their steady rate", async () => {
  const { clock, simulator, send } = virtualSimulator();
  simulator.configure({
    rateLimits: { get: { perSecond: 5, burst: 10 }, other: { perSecond: 1, burst: 3 } },
  });
  let allowed = 0;
  for (let i = 0; i < 300; i++) {
    if ((await send("GET /machines")).status === 200) allowed++;
    await clock.advance(100);
  }
  assert.equal(allowed, 3 + 29);
});
