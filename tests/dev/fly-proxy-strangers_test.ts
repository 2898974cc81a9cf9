/**
 * What provision-machine's addresses lead to while all users' machines share one app: the app's
 * machines, any of them. Fly Proxy looks at neither path nor machine id.
 */
import assert from "node:assert/strict";
import { z } from "zod";
import { seededRandom } from "../../dev/stack/fly/mod.ts";
import { buildCreateBody } from "../../supabase/functions/provision-machine/provision/machine-config.ts";
import { ProxyClient, proxyWorld, publish } from "../support/fly-proxy.ts";

const SEED = 7;
const CONNECTIONS = 100;

const greetingSchema = z.object({ machine: z.string() });

Deno.test("in a shared app about half of two users' connections reach the stranger's machine", async () => {
  await using world = await proxyWorld({ simulator: { random: seededRandom(SEED) } });
  await publish(world, "demo");
  const users = ["machine-of-alice", "machine-of-bob"];
  for (const machineId of users) {
    const created = await world.send("POST /machines", createBody(machineId));
    assert.equal(created.status, 200, JSON.stringify(created.json));
  }
  await world.clock.advance(300);

  let strangers = 0;
  for (let n = 0; n < CONNECTIONS; n++) {
    const machineId = users[n % users.length] ?? "";
    const template = world.proxy.websocketUrlTemplate;
    const url = template.replace("{app}", "demo").replace("{machineId}", machineId);
    const client = new ProxyClient(url);
    const { machine } = greetingSchema.parse(await client.next());
    assert.ok(users.includes(machine));
    if (machine !== machineId) strangers += 1;
    await client.close();
  }
  const share = strangers / CONNECTIONS;
  assert.ok(share > 0.35 && share < 0.65, `seed ${SEED}: ${strangers} of ${CONNECTIONS} strayed`);
});

/** What the function asks Fly.io for. */
function createBody(machineId: string) {
  return buildCreateBody({
    machineId,
    userId: "6f9619ff-8b86-4011-b42d-00cf4fc964ff",
    region: "iad",
    cpuPriority: "normal",
    image: "registry.fly.io/demo:v1",
    port: 8080,
    extraEnv: {},
    connectKey: null,
    tags: {
      managed_by: "provision-machine",
      cloud_machine_id: "11111111-1111-4111-8111-111111111111",
      user_id: "6f9619ff-8b86-4011-b42d-00cf4fc964ff",
      supabase_project: "example",
    },
  });
}
