/**
 * What provision-machine's addresses lead to while all users' machines share one app without a
 * router: the app's machines, any of them. Fly Proxy looks at neither path nor machine id.
 */
import assert from "node:assert/strict";
import { seededRandom } from "../../dev/stack/fly/mod.ts";
import { sightSchema } from "../../dev/stack/fly/serve/programs/hostile.ts";
import { buildCreateBody } from "../../supabase/functions/provision-machine/provision/machine-config.ts";
import { claims, machineKey, sign, USER_ID } from "../examples/tokens.ts";
import {
  HOSTILE_IMAGE,
  ProxyClient,
  type ProxyWorld,
  proxyWorld,
  publish,
} from "../support/fly-proxy.ts";

const SEED = 7;
const CONNECTIONS = 100;
const USERS = ["machine-of-alice", "machine-of-bob"];

/** What the function asks Fly.io for. */
function createBody(machineId: string, image: string) {
  return buildCreateBody({
    machineId,
    userId: USER_ID,
    region: "iad",
    cpuPriority: "normal",
    image,
    port: 8080,
    autostop: "off",
    extraEnv: {},
    connectKey: machineKey(machineId),
    tags: {},
  });
}

/** Two users' machines in one app, and their ids at Fly.io. */
async function sharedApp(world: ProxyWorld, image: string): Promise<Map<string, string>> {
  await publish(world, "demo");
  const ids = new Map<string, string>();
  for (const machineId of USERS) {
    const { status, body, json } = await world.send("POST /machines", createBody(machineId, image));
    assert.equal(status, 200, JSON.stringify(json));
    ids.set(machineId, body.id);
  }
  await world.clock.advance(300);
  return ids;
}

/** Connects each user in turn to the address of their machine, with a token for it. */
async function connectInTurn(
  world: ProxyWorld,
  arrived: (machineId: string, client: ProxyClient) => Promise<boolean>,
): Promise<void> {
  let strangers = 0;
  for (let n = 0; n < CONNECTIONS; n++) {
    const machineId = USERS[n % USERS.length] ?? "";
    const template = world.proxy.websocketUrlTemplate;
    const url = template.replace("{app}", "demo").replace("{machineId}", machineId);
    const token = sign(claims({ aud: machineId, app: "demo" }), { key: machineKey(machineId) });
    const client = new ProxyClient(`${url}?token=${token}`);
    if (!await arrived(machineId, client)) strangers += 1;
  }
  const share = strangers / CONNECTIONS;
  assert.ok(share > 0.35 && share < 0.65, `seed ${SEED}: ${strangers} of ${CONNECTIONS} strayed`);
}

Deno.test("in a shared app about half of two users' connections reach the stranger's machine", async () => {
  await using world = await proxyWorld({ simulator: { random: seededRandom(SEED) } });
  const ids = await sharedApp(world, HOSTILE_IMAGE);
  await connectInTurn(world, async (machineId, client) => {
    const { hostile, path } = sightSchema.parse(await client.next());
    assert.match(path, /\?token=/, "and whatever runs there sees the token");
    await client.close();
    return hostile === ids.get(machineId);
  });
});

Deno.test("with the example image about half of them are refused, and none gets in wrongly", async () => {
  await using world = await proxyWorld({ simulator: { random: seededRandom(SEED) } });
  await sharedApp(world, "registry.fly.io/demo:v1");
  await connectInTurn(world, async (machineId, client) => {
    const greeting = await client.next();
    if (greeting === null) {
      assert.match(await client.refusal(), /401/);
      return false;
    }
    assert.deepEqual(greeting, { machineId, userId: USER_ID });
    await client.close();
    return true;
  });
});
