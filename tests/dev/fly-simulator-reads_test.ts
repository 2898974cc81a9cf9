/** What reads of the simulator see, each test with the fact it holds to. */
import assert from "node:assert/strict";
import { z } from "zod";
import { MACHINE, type Send, virtualSimulator } from "../support/fly-simulator.ts";

const pageSchema = z.strictObject({
  machines: z.array(z.looseObject({
    id: z.string(),
    name: z.string(),
    app_name: z.string(),
    state: z.string(),
    version: z.string(),
    updated_at: z.string(),
  })),
  next_cursor: z.string().optional(),
  last_machine_id: z.string().optional(),
  last_updated_at: z.iso.datetime().optional(),
  error_regions: z.array(z.string()),
});

async function page(send: Send, query = "") {
  const { status, json } = await send(`GET /v1/orgs/personal/machines?${query}`);
  assert.equal(status, 200, JSON.stringify(json));
  return pageSchema.parse(json);
}

const names = (machines: readonly { name: string }[]) => machines.map(({ name }) => name);

Deno.test("GET, wait and lists can be behind a create (flyctl#4618, fly-go ListFlyAppsMachines)", async () => {
  const { clock, send, create, state } = virtualSimulator({
    settings: { getDelayMs: 2000, listDelayMs: 5000, organizationListDelayMs: 9000 },
  });
  const id = await create();
  await clock.advance(1999);
  assert.equal(state(id), "started");
  for (const call of ["GET", "DELETE"]) {
    assert.equal((await send(`${call} /machines/${id}`)).status, 404, call);
  }
  assert.equal((await send(`GET /machines/${id}/wait`)).status, 404);
  await clock.advance(1);
  assert.equal((await send(`GET /machines/${id}`)).body.state, "created", "as it was");
  assert.equal((await send(`GET /machines/${id}/wait`)).body.state, "started");
  await clock.advance(300);
  assert.equal((await send(`GET /machines/${id}`)).body.state, "started");
  assert.deepEqual((await send("GET /machines")).json, []);
  await clock.advance(2700);
  assert.deepEqual((await send("GET /machines")).items.map(({ state }) => state), ["created"]);
  assert.deepEqual((await page(send)).machines, []);
  await clock.advance(4000);
  assert.deepEqual(names((await page(send)).machines), ["machine-1"]);
});

Deno.test("a list can be 200 with machines missing, and a GET 404 for one that exists (infra log)", async () => {
  const { simulator, send, create } = virtualSimulator({
    settings: { organizationListDelayMs: 0 },
  });
  const id = await create();
  await create({ ...MACHINE, name: "machine-2" });
  simulator.addFault({ match: { action: "list" }, do: { kind: "omits", machines: "all" } });
  simulator.addFault({ match: { action: "list" }, do: { kind: "omits", machines: ["machine-1"] } });
  simulator.addFault({
    match: { action: "organization-machines" },
    do: { kind: "omits", machines: [id] },
  });
  simulator.addFault({ match: { action: "get" }, do: { kind: "omits", machines: "all" } });
  const list = async () => names((await send("GET /machines")).items);
  assert.deepEqual([await list(), await list(), await list()], [
    [],
    ["machine-2"],
    ["machine-1", "machine-2"],
  ]);
  assert.deepEqual(names((await page(send)).machines), ["machine-2"]);
  assert.equal((await send(`GET /machines/${id}`)).status, 404);
  assert.equal((await send(`GET /machines/${id}`)).status, 200);
  assert.deepEqual(simulator.requests()[2]?.faults, ["omits"]);

  simulator.configure({ listOmits: 0.5, getOmits: 0.5 });
  const seen = new Set<number>();
  const statuses = new Set<number>();
  for (let i = 0; i < 40; i++) {
    seen.add((await list()).length);
    statuses.add((await send(`GET /machines/${id}`)).status);
  }
  assert.deepEqual([...seen].sort(), [0, 1, 2]);
  assert.deepEqual([...statuses].sort(), [200, 404]);
});

Deno.test("a region that does not answer is missing from lists; only the organization's says so (OpenAPI)", async () => {
  const { simulator, send, create } = virtualSimulator({
    settings: { organizationListDelayMs: 0 },
  });
  await create({ ...MACHINE, region: "fra" });
  await create({ ...MACHINE, name: "machine-2", region: "iad" });
  simulator.world.regions.setAnswers("fra", false);
  assert.deepEqual(names((await send("GET /machines")).items), ["machine-2"]);
  const { machines, error_regions: silent } = await page(send);
  assert.deepEqual([names(machines), silent], [["machine-2"], ["fra"]]);
  simulator.world.regions.setAnswers("fra", true);
  assert.deepEqual((await page(send)).error_regions, []);
});

Deno.test("the organization's list: oldest change first, in pages that can be short or empty (OpenAPI)", async () => {
  const { clock, simulator, send } = virtualSimulator({
    apps: ["demo", "other"],
    settings: { organizationListDelayMs: 0, organizationPageMax: 2 },
  });
  simulator.addApp("strangers", "stranger");
  for (const [index, app] of ["demo", "other", "demo", "other", "demo"].entries()) {
    const machine = { ...MACHINE, name: `m${index}` };
    await send(`POST /v1/apps/${app}/machines`, machine);
    await clock.advance(1000);
  }
  const pages = [];
  let cursor: string | undefined = "";
  while (cursor !== undefined) {
    const { machines, next_cursor: next } = await page(send, `limit=1000&cursor=${cursor}`);
    pages.push(names(machines));
    cursor = next;
  }
  assert.deepEqual(pages, [["m0", "m1"], [], ["m2", "m3"], [], ["m4"]]);

  const { machines: [first], last_machine_id: last, last_updated_at: at } = await page(
    send,
    "limit=1",
  );
  assert.deepEqual([first?.app_name, first?.name, first?.id], ["demo", "m0", last]);
  const later = await page(send, `updated_after=${at}&limit=2`);
  assert.deepEqual(names(later.machines), ["m1", "m2"]);
  const change = simulator.machine("m0");
  await send(`POST /machines/${change?.id}/metadata/changed`, { value: "1" });
  assert.deepEqual(names((await page(send, `updated_after=${at}&limit=2`)).machines), ["m1", "m2"]);
  simulator.configure({ organizationPageMax: 1000 });
  assert.deepEqual(names((await page(send)).machines), ["m1", "m2", "m3", "m4", "m0"]);
});

Deno.test("the organization's list: members, filters and refusals (OpenAPI)", async () => {
  const { clock, simulator, send, create } = virtualSimulator({
    settings: { organizationListDelayMs: 0 },
  });
  const metadata = { row: "1" };
  const id = await create({ ...MACHINE, config: { ...MACHINE.config, metadata }, region: "fra" });
  await create({ ...MACHINE, name: "machine-2" });
  await clock.advance(300);
  const { body } = await send(`GET /machines/${id}`);
  const { machines: [first] } = await page(send, "region=fra");
  const { created_at, private_ip } = z.looseObject({
    created_at: z.string(),
    private_ip: z.string(),
  }).parse(body);
  assert.deepEqual(first, {
    id,
    name: "machine-1",
    app_name: "demo",
    state: "started",
    region: "fra",
    version: body.instance_id,
    private_ip,
    created_at,
    updated_at: new Date(clock.now()).toISOString(),
    config: { image: MACHINE.config.image, guest: body.config.guest, metadata },
  });
  assert.ok(!("config" in ((await page(send, "summary=true")).machines[0] ?? {})));
  assert.deepEqual(names((await page(send, "state=created")).machines), []);
  await send(`DELETE /machines/${id}?force=true`);
  await clock.advance(100);
  assert.deepEqual(names((await page(send)).machines), ["machine-2"]);
  assert.deepEqual(names((await page(send, "include_deleted=true")).machines), [
    "machine-2",
    "machine-1",
  ]);

  const status = async (query: string) =>
    (await send(`GET /v1/orgs/personal/machines?${query}`)).status;
  assert.deepEqual([await status("limit=1001"), await status("cursor=x")], [400, 400]);
  assert.equal(await status("updated_after=yesterday"), 400);
  assert.equal((await send("GET /v1/orgs/stranger/machines")).status, 403);
  simulator.setToken({ token: "deploy", apps: ["demo"] });
  const deploy = { authorization: "Bearer deploy" };
  assert.equal((await send("GET /v1/orgs/personal/machines", undefined, deploy)).status, 403);
});

Deno.test("wait for stopped needs the version (flyctl#1751); settled and failed can be waited for (OpenAPI)", async () => {
  const { clock, simulator, send, create } = virtualSimulator();
  const id = await create();
  assert.equal((await send(`GET /machines/${id}/wait?state=settled`)).body.state, "started");
  const refused = await send(`GET /machines/${id}/wait?state=stopped`);
  assert.deepEqual([refused.status, refused.json], [
    400,
    { error: "instance_id required when waiting for stopped machine" },
  ]);
  const { instance_id: version } = (await send(`GET /machines/${id}`)).body;
  await send(`POST /machines/${id}/stop`);
  for (const member of ["instance_id", "version"]) {
    const { body } = await send(`GET /machines/${id}/wait?state=stopped&${member}=${version}`);
    assert.equal(body.state, "stopped");
  }
  simulator.failMachine(id);
  assert.equal((await send(`GET /machines/${id}/wait?state=failed`)).body.state, "failed");
  await send(`DELETE /machines/${id}?force=true`);
  assert.equal((await send(`GET /machines/${id}/wait?state=destroyed`)).body.state, "destroyed");
  await clock.advance(1);
  assert.equal((await send(`GET /machines/${id}/wait?state=destroyed`)).status, 404, "too late");
});
