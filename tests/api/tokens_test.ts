/** Access tokens: what they must say, and what made-up ones cost. */
import assert from "node:assert/strict";
import { generateSigningKey, mintUserToken } from "../../dev/stack/supabase/mod.ts";
import { assertError, assertProvisioned } from "../support/expectations.ts";
import { type Stack, startStack } from "../support/stack.ts";

const KEYS = "/auth/v1/.well-known/jwks.json";

Deno.test("tokens: what a validly signed one must say", async (t) => {
  const key = await generateSigningKey();
  await using stack = await startStack({
    supabase: { signingKeys: [key.publicJwk] },
    env: { MAX_MACHINES_PER_USER: "100" },
  });
  const { id: userId } = await stack.supabase.createUser();
  const now = Math.floor(Date.now() / 1000);
  const call = async (claims: Record<string, unknown>) =>
    await stack.call(null, {
      headers: bearer(await mintUserToken({ userId, key, claims })),
      body: {},
    });
  const accepted: Record<string, Record<string, unknown>> = {
    "two audiences": { aud: ["authenticated", "another"] },
    "no issuer, as the project is not a hosted one": {},
    "another issuer, as the project is not a hosted one": { iss: "http://127.0.0.1:54321/auth/v1" },
    "not before now, by a clock that is ahead": { nbf: now + 30 },
  };
  for (const [name, claims] of Object.entries(accepted)) {
    await t.step(
      `accepted: ${name}`,
      async () => void await assertProvisioned(stack, await call(claims)),
    );
  }
  const refused: Record<string, Record<string, unknown>> = {
    "an expiry that is a word": { exp: "never" },
    "an expiry that is a number in a text": { exp: String(now + 3600) },
    "no expiry": { exp: undefined },
    "not before an hour from now": { nbf: now + 3600 },
    "not before a word": { nbf: "tomorrow" },
    "another audience": { aud: "another-api" },
    "no audience": { aud: undefined },
    "two roles": { role: ["authenticated"] },
    "a subject in a list": { sub: [userId] },
  };
  for (const [name, claims] of Object.entries(refused)) {
    await t.step(`refused: ${name}`, async () => {
      assertError(await call(claims), 401, "unauthorized");
    });
  }
});

Deno.test("tokens: made-up ones cost one fetch of the keys, and no other call", async (t) => {
  const key = await generateSigningKey();
  await using stack = await startStack({ supabase: { signingKeys: [key.publicJwk] } });
  const { supabase } = stack;
  const user = await supabase.createUser();

  await t.step("keys that the project does not have", async () => {
    supabase.clearRequests();
    await Promise.all(Array.from({ length: 20 }, async () => {
      const kid = crypto.randomUUID();
      const token = await mintUserToken({ userId: user.id, key: { ...key, kid } });
      assertError(
        await stack.call(null, { headers: bearer(token), body: {} }),
        401,
        "unauthorized",
      );
    }));
    const token = await mintUserToken({ userId: user.id, key });
    const answer = await stack.call(null, { headers: bearer(token), body: {} });
    await assertProvisioned(stack, answer);
    assert.deepEqual(authCalls(stack), [KEYS]);
  });

  await t.step("a shared secret, where the project has no legacy key", async () => {
    await using fn = await stack.start({ SUPABASE_SERVICE_ROLE_KEY: undefined });
    supabase.clearRequests();
    for (let n = 0; n < 5; n++) {
      const answer = await fn.call(user, { body: {} });
      assertError(answer, 401, "unauthorized");
    }
    assert.deepEqual(authCalls(stack), [KEYS]);
  });

  await t.step("nothing is computed from one that is too long", async () => {
    supabase.clearRequests();
    const claims = { user_metadata: { note: "x".repeat(8_000) } };
    const token = await mintUserToken({ userId: user.id, key, claims });
    const answer = await stack.call(null, { headers: bearer(token), body: {} });
    assertError(answer, 401, "unauthorized");
    assert.equal(answer.body.error, "No token or key has more than 8192 characters");
    assert.deepEqual(authCalls(stack), []);
  });
});

function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

function authCalls(stack: Stack): string[] {
  return stack.supabase.requests({ service: "auth", transport: "http" }).map(({ path }) => path);
}
