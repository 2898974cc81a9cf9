// The published test vectors agree with the code that signs, derives keys and checks tokens.
import assert from "node:assert/strict";
import { checkConnectToken, TokenRefused } from "../../examples/machine/connect-token.mjs";
import vectors from "../../examples/connect-token-vectors.json" with { type: "json" };
import denoConfig from "../../deno.json" with { type: "json" };
import machinePackage from "../../examples/machine/package.json" with { type: "json" };
import routerPackage from "../../examples/router/package.json" with { type: "json" };
import { ExampleServer, MACHINE, ROUTER } from "./example-server.ts";
import { knock } from "./knock.ts";
import { claims, FLY_MACHINE_ID, machineKey, sign } from "./tokens.ts";

const EXAMPLES = new URL("../../examples/", import.meta.url);

interface Vector {
  token: string;
  machineId: string;
  key: string;
  now: number;
}

function check({ token, machineId, key, now }: Vector): Promise<unknown> {
  const url = `/?token=${encodeURIComponent(token)}`;
  return checkConnectToken(url, { machineId, key, now: new Date(now * 1000) });
}

Deno.test("each key is derived from its secret and machine id", () => {
  for (const { secret, machineId, key } of vectors.keys) {
    assert.equal(machineKey(machineId, secret), key);
    assert.match(key, /^[\w-]{43}$/);
  }
  assert.equal(new Set(vectors.keys.map(({ key }) => key)).size, vectors.keys.length);
});

Deno.test("each accepted token equals its signed claims, and is accepted", async () => {
  for (const vector of vectors.accepted) {
    const { key } = vector;
    assert.equal(sign(vector.claims, { key, header: vectors.header }), vector.token, vector.name);
    assert.deepEqual(await check(vector), vector.claims, vector.name);
  }
});

Deno.test("each refused token is refused", async () => {
  for (const vector of vectors.refused) {
    await assert.rejects(check(vector), TokenRefused, vector.name);
  }
});

Deno.test("the router derives the keys of the vectors", async () => {
  for (const { secret, machineId, key } of vectors.keys) {
    const env = { CONNECT_TOKEN_SECRET: secret };
    await using router = await ExampleServer.start(ROUTER, { env });
    const token = sign(claims({ aud: machineId, app: machineId }), { key });
    const { headers } = await knock(router.port, `/${machineId}?token=${token}`);
    assert.equal(headers.get("fly-replay"), `app=${machineId};instance=${FLY_MACHINE_ID}`);
  }
});

Deno.test("the machine accepts a key of the vectors unchanged", async () => {
  for (const { machineId, key } of vectors.keys) {
    const env = { MACHINE_ID: machineId, CONNECT_KEY: key };
    await using machine = await ExampleServer.start(MACHINE, { env });
    const token = sign(claims({ aud: machineId }), { key });
    assert.equal((await knock(machine.port, `/?token=${token}`)).status, 101);
  }
});

Deno.test("the machine and the router have the same check, and the project's packages", async () => {
  const [machine, router] = await Promise.all(
    ["machine", "router"].map((folder) =>
      Deno.readTextFile(new URL(`${folder}/connect-token.mjs`, EXAMPLES))
    ),
  );
  assert.equal(machine, router);
  const { ws, jose } = denoConfig.imports;
  const pinned = (specifier: string) => specifier.slice(specifier.lastIndexOf("@") + 1);
  assert.deepEqual(machinePackage.dependencies, { jose: pinned(jose), ws: pinned(ws) });
  assert.deepEqual(routerPackage.dependencies, { jose: pinned(jose) });
});
