/** Who may call: users with a token, services with a secret key, and no one else. */
import assert from "node:assert/strict";
import { generateSigningKey, type LocalUser, mintUserToken } from "../../dev/stack/supabase/mod.ts";
import { assertError, assertProvisioned } from "../support/expectations.ts";
import { type Stack, startStack } from "../support/stack.ts";

const SECOND_KEY = "sb_secret_of-another-service-0123456789";

Deno.test("authentication", async (t) => {
  const signingKey = await generateSigningKey();
  await using stack = await startStack({
    supabase: { signingKeys: [signingKey.publicJwk] },
    env: { MAX_MACHINES_PER_USER: "100" },
  });
  const { supabase } = stack;
  const user = await supabase.createUser();
  const other = await supabase.createUser();
  const es256 = (userId: string, options: { expiresInSeconds?: number; role?: string } = {}) =>
    mintUserToken({ userId, key: signingKey, ...options });
  const hs256 = (userId: string, options: { expiresInSeconds?: number; role?: string } = {}) =>
    mintUserToken({ userId, key: supabase.jwtSecret, ...options });

  await t.step("a token that the Auth server has to verify (HS256)", async () => {
    supabase.clearRequests();
    assert.equal((await provision(stack, bearer(user.accessToken))).user_id, user.id);
    assert.deepEqual(authRequests(stack), ["/auth/v1/user"]);
  });

  await t.step("a token that is verified with the published keys (ES256)", async () => {
    supabase.clearRequests();
    for (let call = 0; call < 3; call++) {
      assert.equal((await provision(stack, bearer(await es256(user.id)))).user_id, user.id);
    }
    assert.deepEqual(authRequests(stack), ["/auth/v1/.well-known/jwks.json"]);
  });

  await t.step("upper and lower case are the same in the scheme", async () => {
    await provision(stack, { authorization: `bearer ${user.accessToken}` });
  });

  await t.step("the publishable key next to the token changes nothing", async () => {
    const headers = { ...bearer(user.accessToken), apikey: supabase.publishableKey };
    assert.equal((await provision(stack, headers)).user_id, user.id);
  });

  const [, payloadOfOther] = other.accessToken.split(".");
  const ofAnotherProject = await generateSigningKey();
  const refused: Record<string, Record<string, string>> = {
    "nothing": {},
    "an empty token": { authorization: "Bearer " },
    "another scheme": { authorization: `Basic ${btoa(`${user.email}:password`)}` },
    "no token at all": bearer("not-a-token"),
    "three parts that are no token": bearer("not.a.token"),
    "an expired token, HS256": bearer(await hs256(user.id, { expiresInSeconds: -60 })),
    "an expired token, ES256": bearer(await es256(user.id, { expiresInSeconds: -60 })),
    "a token with another's payload, HS256": bearer(
      replacePart(user.accessToken, 1, payloadOfOther ?? ""),
    ),
    "a token with another's payload, ES256": bearer(
      replacePart(await es256(user.id), 1, (await es256(other.id)).split(".")[1] ?? ""),
    ),
    "a tampered signature, HS256": bearer(tamperSignature(user.accessToken)),
    "a tampered signature, ES256": bearer(tamperSignature(await es256(user.id))),
    "no signature, HS256": bearer(replacePart(user.accessToken, 2, "")),
    "alg none": bearer(unsigned(user.accessToken)),
    "another project's secret": bearer(
      await mintUserToken({ userId: user.id, key: "another project's secret, 32 bytes long" }),
    ),
    "another project's signing key": bearer(
      await mintUserToken({ userId: user.id, key: ofAnotherProject }),
    ),
    "another project's signing key under our key id": bearer(
      await mintUserToken({
        userId: user.id,
        key: { ...ofAnotherProject, kid: signingKey.kid },
      }),
    ),
    "the public key used as a secret": bearer(
      await mintUserToken({ userId: user.id, key: JSON.stringify(signingKey.publicJwk) }),
    ),
    "a token of role anon": bearer(await es256(user.id, { role: "anon" })),
    "a token of role service_role": bearer(await es256(user.id, { role: "service_role" })),
    "a token whose subject is no user id": bearer(await es256("everybody")),
    "the anon key as Bearer": bearer(supabase.anonKey),
    "the anon key as Bearer and apikey": { ...bearer(supabase.anonKey), apikey: supabase.anonKey },
    "the publishable key as apikey": { apikey: supabase.publishableKey },
    "the publishable key as Bearer": bearer(supabase.publishableKey),
    "a wrong secret key": { apikey: "sb_secret_wrong-wrong-wrong-wrong" },
    "a secret key that lacks its end": { apikey: supabase.secretKey.slice(0, -1) },
    "a secret key with something after it": { apikey: `${supabase.secretKey}x` },
    "a service_role key of another project": bearer(
      await mintUserToken({
        userId: user.id,
        key: "another project's secret, 32 bytes long",
        role: "service_role",
      }),
    ),
    "a tampered service_role key": bearer(tamperSignature(supabase.serviceRoleKey)),
    "a secret key next to a token that is no good": {
      apikey: supabase.secretKey,
      ...bearer(tamperSignature(user.accessToken)),
    },
  };
  for (const [name, headers] of Object.entries(refused)) {
    await t.step(`401: ${name}`, async () => {
      const before = await countRows(stack);
      stack.simulator.clearRequests();
      const answer = await stack.call(null, { headers, body: { userId: user.id } });
      assertError(answer, 401, "unauthorized");
      assert.equal(answer.headers.get("www-authenticate"), "Bearer");
      assert.equal(answer.body.machineId, null);
      assert.equal(await countRows(stack), before);
      assert.deepEqual(stack.simulator.requests(), []);
    });
  }

  await t.step("401: a valid token of a user who was deleted", async (t) => {
    for (const [name, mint] of [["HS256", hs256], ["ES256", es256]] as const) {
      await t.step(name, async () => {
        const gone = await supabase.createUser();
        const token = await mint(gone.id);
        await supabase.sql("delete from auth.users where id = $1", [gone.id]);
        const answer = await stack.call(null, { headers: bearer(token), body: {} });
        assertError(answer, 401, "unauthorized");
        assert.deepEqual(await stack.rowsOf(gone), []);
      });
    }
  });

  await t.step("403: a user names another user", async () => {
    const answer = await stack.call(user, { body: { userId: other.id } });
    assertError(answer, 403, "forbidden");
    assert.deepEqual(await stack.rowsOf(other), []);
  });

  await t.step("403: a user calls what only services may call", async () => {
    assertError(await stack.call(user, { path: "/reconcile" }), 403, "forbidden");
    assertError(await stack.call(null, { path: "/reconcile" }), 401, "unauthorized");
  });

  await t.step("services", (t) => testServices(t, stack, user, other));
});

async function testServices(
  t: Deno.TestContext,
  stack: Stack,
  user: LocalUser,
  other: LocalUser,
): Promise<void> {
  const { secretKey, serviceRoleKey } = stack.supabase;
  await using fn = await stack.start({
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: secretKey, worker: SECOND_KEY }),
  });
  const accepted: Record<string, Record<string, string>> = {
    "a secret key as apikey": { apikey: secretKey },
    "a secret key as Bearer too, as supabase-js sends it": {
      apikey: secretKey,
      ...bearer(secretKey),
    },
    "a further secret key": { apikey: SECOND_KEY },
    "the service_role key as Bearer": bearer(serviceRoleKey),
    "the service_role key as apikey": { apikey: serviceRoleKey },
  };
  for (const [name, headers] of Object.entries(accepted)) {
    await t.step(name, async () => {
      const answer = await fn.call(null, { headers, body: { userId: other.id } });
      assert.equal((await assertProvisioned(stack, answer)).user_id, other.id);
    });
  }

  await t.step("without the new keys the service_role key is enough", async () => {
    await using legacy = await stack.start({ SUPABASE_SECRET_KEYS: undefined });
    const headers = bearer(serviceRoleKey);
    await assertProvisioned(
      stack,
      await legacy.call(null, { headers, body: { userId: other.id } }),
    );
    const withSecretKey = { headers: { apikey: secretKey }, body: { userId: other.id } };
    assertError(await legacy.call(null, withSecretKey), 401, "unauthorized");
  });

  await t.step("a user's token next to a secret key acts for that user", async () => {
    const headers = { apikey: secretKey };
    const answer = await fn.call(user, { headers, body: {} });
    assert.equal((await assertProvisioned(stack, answer)).user_id, user.id);
    const forOther = await fn.call(user, { headers, body: { userId: other.id } });
    assertError(forOther, 403, "forbidden");
    assertError(await fn.call(user, { headers, path: "/reconcile" }), 403, "forbidden");
  });

  await t.step("400: a service must name the user", async () => {
    const answer = await fn.call(null, { headers: { apikey: secretKey }, body: {} });
    assertError(answer, 400, "invalid_request", ["issues"]);
    assert.deepEqual(answer.body.issues.map(({ path }: { path: string }) => path), ["userId"]);
  });

  await t.step("400: a service names a user who does not exist", async () => {
    const body = { userId: crypto.randomUUID() };
    const answer = await fn.call(null, { headers: { apikey: secretKey }, body });
    assertError(answer, 400, "invalid_request", ["issues"]);
    assert.deepEqual(answer.body.issues, [{ path: "userId", message: "no user has this id" }]);
    assert.deepEqual(await stack.rowsOf({ id: body.userId }), []);
  });
}

function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

async function provision(stack: Stack, headers: Record<string, string>) {
  return await assertProvisioned(stack, await stack.call(null, { headers, body: {} }));
}

function authRequests(stack: Stack): string[] {
  return stack.supabase.requests({ service: "auth", transport: "http" }).map(({ path }) => path);
}

async function countRows(stack: Stack): Promise<number> {
  const [row] = await stack.supabase.sql<{ n: number }>(
    "select count(*)::int as n from cloud_machines",
  );
  return row?.n ?? NaN;
}

function replacePart(token: string, index: number, part: string): string {
  return token.split(".").with(index, part).join(".");
}

/** Changes the first character of the signature; the last one may have only padding bits. */
function tamperSignature(token: string): string {
  const signature = token.split(".")[2] ?? "";
  return replacePart(token, 2, (signature.startsWith("A") ? "B" : "A") + signature.slice(1));
}

/** The same claims with `alg: none` and without a signature. */
function unsigned(token: string): string {
  const header = btoa(JSON.stringify({ alg: "none", typ: "JWT" })).replace(/=+$/, "");
  return replacePart(replacePart(token, 0, header), 2, "");
}
