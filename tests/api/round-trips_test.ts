/**
 * How many upstream calls each route makes. A provisioning is a handful of round trips; one more
 * slows down every user, and no other test would show it.
 */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { answerOf } from "../../bench/support/upstream-answers.ts";
import { startFunction } from "../../dev/stack/function/mod.ts";
import { generateSigningKey, type LocalUser, mintUserToken } from "../../dev/stack/supabase/mod.ts";
import { assertError, assertProvisioned, assertSuccess } from "../support/expectations.ts";
import { type CallOptions, FLY_TOKEN, IMAGE, type Stack, startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";

/** Calls to the database and to Fly.io, each in the order in which they arrived. */
interface Calls {
  database: string[];
  auth: string[];
  fly: string[];
}

/** A user whose token can be verified without a call, as with a project's own signing keys. */
async function newUser(
  stack: Stack,
  key: Awaited<ReturnType<typeof generateSigningKey>>,
): Promise<LocalUser> {
  const user = await stack.supabase.createUser();
  return { ...user, accessToken: await mintUserToken({ userId: user.id, key }) };
}

async function callsDuring(stack: Stack, work: () => Promise<unknown>): Promise<Calls> {
  stack.supabase.clearRequests();
  stack.simulator.clearRequests();
  await work();
  const requests = stack.supabase.requests({ transport: "http" });
  return {
    database: requests.filter(({ service }) => service === "rest")
      .map(({ rpc, method, path }) => rpc ?? `${method} ${path}`),
    auth: requests.filter(({ service }) => service === "auth").map(({ path }) => path),
    fly: stack.simulator.requests().map(({ action }) => action),
  };
}

const NONE: Calls = { database: [], auth: [], fly: [] };
const PROVISIONED: Calls = {
  database: ["claim_machine", "record_fly_machine", "mark_machine_running"],
  auth: [],
  fly: ["create", "wait"],
};

Deno.test("round trips", async (t) => {
  const key = await generateSigningKey();
  await using stack = await startStack({ supabase: { signingKeys: [key.publicJwk] } });
  const call = async (options: CallOptions = {}, user?: LocalUser) =>
    await stack.call(user ?? await newUser(stack, key), { body: {}, ...options });

  await t.step("the keys that verify tokens are fetched once per isolate", async () => {
    const calls = await callsDuring(stack, async () => {
      for (let i = 0; i < 3; i++) await assertProvisioned(stack, await call());
    });
    assert.deepEqual(calls.auth, ["/auth/v1/.well-known/jwks.json"]);
  });

  await t.step("a success: one call before the create, two after it, one wait", async () => {
    const calls = await callsDuring(stack, async () => {
      await assertProvisioned(stack, await call());
    });
    assert.deepEqual(calls, PROVISIONED);
  });

  await t.step("a success with a key costs the same", async () => {
    const calls = await callsDuring(stack, async () => {
      await assertProvisioned(stack, await call({ headers: { "idempotency-key": "one" } }));
    });
    assert.deepEqual(calls, PROVISIONED);
  });

  await t.step("a success behind 202 costs the same", async () => {
    const calls = await callsDuring(stack, async () => {
      const answer = await call({ headers: { prefer: "respond-async" } });
      assertSuccess(answer, 202, "provisioning");
      await stack.log(answer);
    });
    assert.deepEqual(calls, PROVISIONED);
  });

  await t.step("Fly's id is written while the start is awaited, not before", async () => {
    const waiting = until(
      "Fly.io is asked to wait",
      () => stack.simulator.requests().some(({ action }) => action === "wait"),
    );
    // If one were awaited before the other, neither would ever arrive.
    stack.supabase.addFault({
      match: { rpc: "record_fly_machine" },
      do: { kind: "hold", until: waiting },
    });
    const calls = await callsDuring(stack, async () => {
      await assertProvisioned(stack, await call());
    });
    assert.deepEqual(calls, PROVISIONED);
  });

  await t.step("a replay is one call to the database and none to Fly.io", async () => {
    const user = await newUser(stack, key);
    const headers = { "idempotency-key": "again" };
    await assertProvisioned(stack, await call({ headers }, user));
    const calls = await callsDuring(stack, async () => {
      assertSuccess(await call({ headers }, user), 200, "running");
    });
    assert.deepEqual(calls, { ...NONE, database: ["claim_machine"] });
  });

  await t.step("a refusal because of the limit is one call as well", async () => {
    const user = await newUser(stack, key);
    await assertProvisioned(stack, await call({}, user));
    const calls = await callsDuring(stack, async () => {
      assertError(await call({}, user), 409, "machine_limit_reached", ["websocketUrl", "status"]);
    });
    assert.deepEqual(calls, { ...NONE, database: ["claim_machine"] });
  });

  await t.step("connecting is one call to the database and none to Fly.io", async () => {
    const user = await newUser(stack, key);
    const { body: { machineId } } = await call({}, user);
    const calls = await callsDuring(stack, async () => {
      const answer = await stack.call(user, { path: `/${machineId}/connect` });
      assert.equal(answer.status, 200);
    });
    assert.deepEqual(calls, { ...NONE, database: ["find_machine"] });
  });

  await t.step("what is refused before the claim costs no call at all", async () => {
    const calls = await callsDuring(stack, async () => {
      const user = await newUser(stack, key);
      assertError(await call({ body: { region: 1 } }, user), 400, "invalid_request", ["issues"]);
      assertError(await stack.call(null, { body: {} }), 401, "unauthorized");
      assertError(await stack.call(user, { path: "/a/b" }), 404, "not_found");
      assert.equal((await stack.call(null, { method: "OPTIONS" })).status, 204);
    });
    assert.deepEqual({ ...calls, database: [] }, NONE);
    assert.deepEqual(calls.database, []);
  });

  await t.step("a create that must wait for its turn asks for it once more", async () => {
    await stack.restart({ FLY_RATE_PER_SECOND: "1", FLY_RATE_BURST: "1" });
    await call();
    await stack.supabase.sql(
      "update fly_create_buckets set full_at = clock_timestamp() + interval '1.5 seconds'",
    );
    const calls = await callsDuring(stack, async () => {
      await assertProvisioned(stack, await call());
    });
    const [claim, ...rest] = PROVISIONED.database;
    assert.deepEqual(calls.database, [claim, "take_create_slot", ...rest]);
    assert.deepEqual(calls.fly, PROVISIONED.fly);
  });
});

Deno.test("connections to upstreams are kept and used again", async () => {
  const key = await generateSigningKey();
  let connections = 0;
  const kinds: string[] = [];
  const server = createServer(async (incoming, outgoing) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const body = new TextDecoder().decode(await new Blob(chunks as BlobPart[]).arrayBuffer());
    const { kind, response } = await answerOf(
      new Request(`http://upstream${incoming.url}`, {
        method: incoming.method ?? "GET",
        headers: new Headers(incoming.headers as Record<string, string>),
        ...(body === "" ? {} : { body }),
      }),
      key.publicJwk,
    );
    kinds.push(kind);
    outgoing.writeHead(response.status, Object.fromEntries(response.headers));
    outgoing.end(await response.text());
  });
  server.on("connection", () => connections++);
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const fn = await startFunction({
    env: {
      SUPABASE_URL: url,
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: "sb_secret_test0000000000000000" }),
      FLY_API_TOKEN: FLY_TOKEN,
      FLY_API_HOSTNAME: url,
      FLY_APP_NAME: "test-app",
      DOCKER_IMAGE: IMAGE,
    },
  });
  try {
    const provisions = 8;
    for (let i = 0; i < provisions; i++) {
      const token = await mintUserToken({ userId: crypto.randomUUID(), key });
      const response = await fetch(`${fn.url}/provision-machine`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}` },
      });
      assert.equal(response.status, 200, await response.text());
    }
    assert.equal(kinds.filter((kind) => kind !== "jwks").length, 5 * provisions);
    // At most two calls are sent at a time; a race may open a third connection, which is harmless.
    assert.ok(connections <= 3, `${connections} connections for ${kinds.length} calls`);
  } finally {
    await fn.stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});
