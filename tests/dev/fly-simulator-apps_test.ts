/** Apps of the simulator: names, ownership, delays and deletion, each test with the fact it holds to. */
import assert from "node:assert/strict";
import { z } from "zod";
import { MACHINE, virtualSimulator } from "../support/fly-simulator.ts";

const SHOP = { name: "shop", org_slug: "personal", network: "shop" };
const listSchema = z.object({
  total_apps: z.number(),
  apps: z.array(z.looseObject({ name: z.string(), network: z.string() })),
});

Deno.test("an app is made in an organization and a network, under either name of the name field", async () => {
  const { clock, send } = virtualSimulator();
  const made = await send("POST /v1/apps", SHOP);
  assert.equal(made.status, 201);
  assert.deepEqual(made.json, { id: made.body.id, created_at: clock.now() });
  assert.equal(
    (await send("POST /v1/apps", { app_name: "shop-2", org_slug: "personal" })).status,
    201,
  );
  await clock.advance(5000);
  const { json } = await send("GET /v1/apps/shop");
  assert.deepEqual(json, {
    id: made.body.id,
    name: "shop",
    internal_numeric_id: 4_000_002,
    status: "pending",
    machine_count: 0,
    volume_count: 0,
    network: "shop",
    organization: { name: "personal", slug: "personal", internal_numeric_id: 700_000 },
  });
});

Deno.test("a new app is 404 or 401 for a moment, and calls below it 404 in three texts (fly-go, gram)", async () => {
  const { clock, send } = virtualSimulator({ settings: { newAppDelayMs: 2000 } });
  await send("POST /v1/apps", SHOP);
  const reads = new Set<number>();
  const creates = new Set<string>();
  for (let i = 0; i < 20; i++) {
    reads.add((await send("GET /v1/apps/shop")).status);
    const create = await send("POST /v1/apps/shop/machines", MACHINE);
    assert.equal(create.status, 404);
    creates.add(create.body.error);
  }
  assert.deepEqual([...reads].sort(), [401, 404]);
  assert.deepEqual([...creates].sort(), [
    "app not found",
    "failed to get app",
    "sql: no rows in result set",
  ]);
  await clock.advance(2000);
  assert.equal((await send("GET /v1/apps/shop")).status, 200);
  assert.equal((await send("POST /v1/apps/shop/machines", MACHINE)).status, 200);
});

Deno.test("a name is taken in all of Fly.io, and GET shows whose it is: 200, 403 or 404 (fly-go)", async () => {
  const { simulator, send } = virtualSimulator();
  simulator.addApp("strangers", "stranger");
  const create = (name: string) => send("POST /v1/apps", { ...SHOP, name });
  for (const name of ["demo", "strangers"]) {
    const { status, json } = await create(name);
    assert.equal(status, 422);
    assert.deepEqual(json, {
      error: "Validation failed: Name has already been taken",
      status: "name_taken",
    });
  }
  assert.equal((await send("GET /v1/apps/demo")).status, 200);
  const foreign = await send("GET /v1/apps/strangers");
  assert.deepEqual([foreign.status, foreign.json], [403, { error: "unauthorized" }]);
  assert.equal((await send("POST /v1/apps/strangers/machines", MACHINE)).status, 403);
  assert.equal((await send("GET /v1/apps/free")).status, 404);
  simulator.configure({ foreignApp: 404 });
  assert.equal((await send("GET /v1/apps/strangers")).status, 404);

  const variants = [
    ["text", 422, { error: "Validation failed: Name has already been taken" }],
    ["constraint-code", 422, { error: "uniqueness constraint violated", status: "name_taken" }],
    ["constraint-text", 422, { error: "uniqueness constraint violated" }],
    ["409", 409, { error: "Validation failed: Name has already been taken" }],
  ] as const;
  for (const [appNameTaken, status, body] of variants) {
    simulator.configure({ appNameTaken });
    const refused = await create("demo");
    assert.deepEqual([refused.status, refused.json], [status, body]);
  }
});

Deno.test("names and networks that Fly.io does not take", async () => {
  const { send } = virtualSimulator();
  for (const name of ["", "Upper", "under_score", "a".repeat(63), "-dash"]) {
    const { status, body } = await send("POST /v1/apps", { ...SHOP, name });
    assert.equal(status, 422, name);
    assert.match(body.error, /^Validation failed: Name under 63 chars/);
  }
  assert.equal((await send("POST /v1/apps", { ...SHOP, name: "a".repeat(62) })).status, 201);
  for (const network of ["1st", "a_b"]) {
    assert.equal((await send("POST /v1/apps", { ...SHOP, network })).status, 422, network);
  }
  assert.equal((await send("POST /v1/apps", { name: "shop" })).status, 400, "org_slug is required");
});

Deno.test("one idempotency_key gives the first app back, and refuses another name (OpenAPI)", async () => {
  const { clock, simulator, send } = virtualSimulator({
    settings: { newAppDelayMs: 0, deletedAppNameHeldMs: 0 },
  });
  const keyed = { ...SHOP, idempotency_key: "k" };
  const { body: first } = await send("POST /v1/apps", keyed);
  const { name: _name, ...nameless } = keyed;
  for (const again of [keyed, nameless]) {
    const { status, body } = await send("POST /v1/apps", again);
    assert.deepEqual([status, body.id], [201, first.id]);
  }
  assert.equal((await send("POST /v1/apps", { ...keyed, name: "other" })).status, 422);
  assert.deepEqual(simulator.requests().map(({ tookEffect }) => tookEffect), [
    true,
    false,
    false,
    false,
  ]);
  await send("DELETE /v1/apps/shop");
  await clock.advance(1000);
  assert.equal((await send("POST /v1/apps", keyed)).body.id, first.id, "outlives the app");
  assert.equal((await send("GET /v1/apps/shop")).status, 404);
  await clock.advance(60_000);
  assert.notEqual((await send("POST /v1/apps", keyed)).body.id, first.id, "is forgotten");
});

Deno.test("a list of an organization's apps lacks the newest and the strangers'", async () => {
  const { clock, simulator, send } = virtualSimulator();
  simulator.addApp("strangers", "stranger");
  await send("POST /v1/apps", SHOP);
  const list = async () => listSchema.parse((await send("GET /v1/apps?org_slug=personal")).json);
  assert.deepEqual((await list()).apps.map(({ name }) => name), ["demo"]);
  await clock.advance(5000);
  const { total_apps: total, apps } = await list();
  assert.equal(total, 2);
  assert.deepEqual(apps.map(({ name, network }) => [name, network]), [
    ["demo", "default"],
    ["shop", "shop"],
  ]);
  assert.equal((await send("GET /v1/apps")).status, 400);
  assert.equal((await send("GET /v1/apps?org_slug=stranger")).status, 403);
});

Deno.test("a deletion takes machines and addresses along, and holds the name for a while", async () => {
  const { clock, simulator, send, create, state } = virtualSimulator();
  const id = await create();
  await send("POST /ip_assignments", { type: "v6" });
  await clock.advance(300);
  const refused = await send("DELETE ");
  assert.equal(refused.status, 412, "a running machine needs force");
  const deleted = await send("DELETE ?force=true");
  assert.deepEqual([deleted.status, deleted.json], [202, undefined]);
  assert.equal(state(id), "destroying");
  assert.deepEqual(simulator.world.addresses.all(), []);
  assert.equal((await send("GET ")).status, 200, "for a moment");
  assert.equal((await send("POST /machines", MACHINE)).status, 404);
  await clock.advance(500);
  assert.equal(state(id), "destroyed");
  assert.equal((await send("GET ")).status, 404);
  assert.equal((await send("DELETE ")).status, 404);
  const again = { name: "demo", org_slug: "personal" };
  assert.equal((await send("POST /v1/apps", again)).status, 422, "the name is held");
  await clock.advance(60_000);
  assert.equal((await send("POST /v1/apps", again)).status, 201);
});

Deno.test("an app whose machines are stopped can be deleted, and shows as suspended (surge)", async () => {
  const { clock, send, create } = virtualSimulator();
  const id = await create();
  await clock.advance(300);
  assert.equal((await send("GET ")).body.status, "deployed");
  await send(`POST /machines/${id}/stop`);
  await clock.advance(100);
  assert.equal((await send("GET ")).body.status, "suspended");
  assert.equal((await send("DELETE ")).status, 202);
});

Deno.test("at most 100 app deletions a minute, and 1 create a second per organization", async () => {
  const limits = { get: { perSecond: 5, burst: 10 }, other: { perSecond: 1, burst: 3 } };
  const names = Array.from({ length: 102 }, (_, index) => `app-${index}`);
  const { clock, send } = virtualSimulator({ apps: names, settings: { rateLimits: limits } });
  const statuses = [];
  for (const name of names) statuses.push((await send(`DELETE /v1/apps/${name}`)).status);
  assert.deepEqual(statuses, [...Array(100).fill(202), 429, 429]);
  await clock.advance(60_000);
  assert.equal((await send("DELETE /v1/apps/app-101")).status, 202);

  const creates = [];
  for (const name of ["a", "b", "c", "d"]) {
    creates.push((await send("POST /v1/apps", { ...SHOP, name })).status);
  }
  assert.deepEqual(creates, [201, 201, 201, 429]);
});
