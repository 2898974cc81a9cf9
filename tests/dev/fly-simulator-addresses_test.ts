/** IP addresses of the simulator's apps, each test with the fact it holds to. */
import assert from "node:assert/strict";
import { z } from "zod";
import { FlySimulator } from "../../dev/stack/fly/mod.ts";
import { virtualSimulator } from "../support/fly-simulator.ts";

/** fly-go's `IPAssignment`. */
const addressSchema = z.strictObject({
  ip: z.union([z.ipv4(), z.ipv6()]),
  region: z.string(),
  created_at: z.iso.datetime(),
  shared: z.boolean(),
  service_name: z.string(),
  egress: z.boolean(),
  network: z.object({ name: z.string(), org_slug: z.string() }).nullable(),
});
const listSchema = z.strictObject({ ips: z.array(addressSchema) });

Deno.test("an app has no address until one is assigned, and no answer names the type (fly-go)", async () => {
  const { clock, simulator, send } = virtualSimulator();
  const list = async () => listSchema.parse((await send("GET /ip_assignments")).json).ips;
  assert.deepEqual(await list(), []);
  const shared = await send("POST /ip_assignments", { type: "shared_v4" });
  const v6 = await send("POST /ip_assignments", { type: "v6" });
  assert.deepEqual([shared.status, v6.status], [200, 200]);
  const first = addressSchema.parse(shared.json);
  const second = addressSchema.parse(v6.json);
  assert.deepEqual([first.shared, second.shared, second.ip.includes(":")], [true, false, true]);
  assert.deepEqual(await list(), [], "the list is behind");
  await clock.advance(500);
  assert.deepEqual(await list(), [first, second]);
  assert.deepEqual(simulator.world.addresses.all().map(({ type }) => type), ["shared_v4", "v6"]);

  const removed = await send(`DELETE /ip_assignments/${second.ip}`);
  assert.deepEqual([removed.status, removed.json], [204, undefined]);
  assert.deepEqual(await list(), [first]);
  assert.equal((await send(`DELETE /ip_assignments/${second.ip}`)).status, 404);
});

Deno.test("an unknown type is 400 (terraform-provider-fly); a Flycast address is in no network of its own", async () => {
  const { send } = virtualSimulator();
  const unknown = await send("POST /ip_assignments", { type: "v5" });
  assert.deepEqual([unknown.status, unknown.json], [400, { error: "invalid ip address type" }]);
  const flycast = await send("POST /ip_assignments", { type: "private_v6" });
  const { ip, network } = addressSchema.parse(flycast.json);
  assert.match(ip, /^fdaa:/);
  assert.deepEqual(network, { name: "", org_slug: "personal" });
  const pair = await send("POST /ip_assignments", { type: "egress_pair" });
  const parsed = z.looseObject({ ip: z.null(), ip_pair: z.object({ v4: z.ipv4(), v6: z.ipv6() }) });
  parsed.parse(pair.json);
});

Deno.test("a second shared_v4 is 409 or 422 (Kilo), a second v6 one more address (hexclave)", async () => {
  const { simulator, send } = virtualSimulator({ settings: { newAddressDelayMs: 0 } });
  const assign = async (type: string) => (await send("POST /ip_assignments", { type })).status;
  const count = () => simulator.world.addresses.all().length;
  assert.deepEqual([await assign("shared_v4"), await assign("shared_v4"), count()], [200, 422, 1]);
  assert.deepEqual([await assign("v6"), await assign("v6"), count()], [200, 200, 3]);
  simulator.configure({ repeatedSharedV4: "409", repeatedV6: "422" });
  assert.deepEqual([await assign("shared_v4"), await assign("v6"), count()], [409, 422, 3]);
  simulator.configure({ repeatedSharedV4: "same" });
  const [first] = simulator.world.addresses.all();
  const again = addressSchema.parse(
    (await send("POST /ip_assignments", { type: "shared_v4" })).json,
  );
  assert.deepEqual([again.ip, count()], [first?.ip, 3]);
});

Deno.test("address calls are limited per organization unless asked otherwise", async () => {
  const { rateLimits } = new FlySimulator().settings;
  const apps = ["demo", "b", "c", "d"];
  const run = async (addressLimitPer: "organization" | "app") => {
    const { send } = virtualSimulator({ apps, settings: { rateLimits, addressLimitPer } });
    const seen = [];
    for (const app of apps) {
      seen.push((await send(`POST /v1/apps/${app}/ip_assignments`, { type: "v6" })).status);
    }
    return seen;
  };
  assert.deepEqual(await run("organization"), [200, 200, 200, 429]);
  assert.deepEqual(await run("app"), [200, 200, 200, 200]);
});
