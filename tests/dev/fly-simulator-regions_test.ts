/** Regions of the simulator: retired ones, lists of regions, placements. */
import assert from "node:assert/strict";
import { z } from "zod";
import { FLY_REGIONS } from "../../dev/stack/fly/mod.ts";
import { MACHINE, virtualSimulator } from "../support/fly-simulator.ts";

const regionsSchema = z.object({
  Regions: z.array(z.looseObject({ code: z.string(), deprecated: z.boolean() })),
  Nearest: z.string(),
});
const placementsSchema = z.object({
  regions: z.array(z.object({ region: z.string(), count: z.int(), concurrency: z.int() })),
});

Deno.test("regions are listed without a token, retired ones too, and without capacity (fly-go)", async () => {
  const { clock, simulator } = virtualSimulator();
  const request = new Request("https://api.machines.dev/v1/platform/regions");
  const response = await clock.run(simulator.fetch(request));
  const { Regions: regions } = regionsSchema.parse(await response.json());
  const usable = regions.filter(({ deprecated }) => !deprecated).map(({ code }) => code);
  assert.deepEqual(usable, FLY_REGIONS.filter((code) => code !== "bom"));
  assert.equal(usable.length, 17);
  const retired = regions.filter(({ deprecated }) => deprecated).map(({ code }) => code);
  assert.ok(retired.includes("bom") && retired.includes("waw"));
  assert.ok(regions.every((row) => !("capacity" in row)));
});

Deno.test("a retired region takes nothing new; the status of the refusal is not recorded (docs#2171)", async () => {
  const { simulator, send } = virtualSimulator();
  const statuses = new Set<number>();
  for (let i = 0; i < 30; i++) {
    const { status, body } = await send("POST /machines", { ...MACHINE, region: "bom" });
    statuses.add(status);
    assert.equal(
      body.error,
      "Region bom is deprecated and cannot have new resources provisioned. Please consider using an alternate region such as sin",
    );
  }
  assert.deepEqual([...statuses].sort(), [400, 412, 422]);
  assert.deepEqual(simulator.machines(), []);
  simulator.world.regions.setRetired("bom", null);
  assert.equal((await send("POST /machines", { ...MACHINE, region: "bom" })).status, 200);
  simulator.world.regions.setRetired("fra", "ams");
  assert.match(
    (await send("POST /machines", { ...MACHINE, name: "in-fra", region: "fra" })).body.error,
    /such as ams$/,
  );
});

Deno.test("region can be a list with groups: the first with room, and the answer says which (docs)", async () => {
  const { simulator, send } = virtualSimulator();
  const region = async (wanted: string) =>
    (await send("POST /machines", { config: MACHINE.config, region: wanted })).body.region;
  assert.equal(await region("fra,us,any"), "fra");
  simulator.setCapacity("fra", false);
  assert.equal(await region("fra,us,any"), "dfw");
  assert.equal(await region("apac"), "nrt", "a group has no retired region");
  assert.equal((await send("POST /machines", { ...MACHINE, region: "fra" })).status, 422);
  assert.equal((await send("POST /machines", { ...MACHINE, region: "atlantis" })).status, 400);
});

Deno.test("placements answer how many machines fit where (fly-go, flaps_platform.go)", async () => {
  const { simulator, send } = virtualSimulator();
  simulator.setCapacity("iad", false);
  const ask = async (body: unknown) =>
    placementsSchema.parse((await send("POST /v1/platform/placements", body)).json).regions;
  assert.deepEqual(await ask({ org_slug: "personal", region: "iad,fra,bom", count: 2 }), [
    { region: "iad", count: 0, concurrency: 1 },
    { region: "fra", count: 2, concurrency: 1 },
    { region: "bom", count: 2, concurrency: 1 },
  ]);
  const all = await ask({ org_slug: "personal" });
  assert.equal(all.length, 17);
  assert.ok(all.every(({ count, region }) => count === (region === "iad" ? 0 : 100)));
  assert.equal((await send("POST /v1/platform/placements", {})).status, 400);
  const foreign = await send("POST /v1/platform/placements", { org_slug: "stranger" });
  assert.equal(foreign.status, 403);
});
