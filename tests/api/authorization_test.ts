/** Every route × every kind of caller, in one table of expected statuses. */
import assert from "node:assert/strict";
import { ROUTES } from "../../supabase/functions/provision-machine/routes.ts";
import { generateSigningKey, type LocalUser, mintUserToken } from "../../dev/stack/supabase/mod.ts";
import { type Stack, startStack } from "../support/stack.ts";

/** The headers that a caller sends, and whose machine the call is about. */
interface Credentials {
  authorization?: string;
  apikey?: string;
  /** The machine, and the `userId` in a body, belong to another user. */
  onAnothers?: boolean;
}

type SigningKey = Awaited<ReturnType<typeof generateSigningKey>>;

interface World {
  stack: Stack;
  owner: LocalUser;
  other: LocalUser;
  signingKey: SigningKey;
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** Every kind of caller; each needs a column in {@link EXPECTED}. */
const CALLERS = {
  noCredentials: () => ({}),
  emptyBearer: () => ({ authorization: "Bearer " }),
  anonKeyAsBearer: ({ stack }) => bearer(stack.supabase.anonKey),
  publishableKey: ({ stack }) => ({ apikey: stack.supabase.publishableKey }),
  anonKeyBesidePublishableKey: ({ stack }) => ({
    ...bearer(stack.supabase.anonKey),
    apikey: stack.supabase.publishableKey,
  }),
  wrongSecretKey: () => ({ apikey: "sb_secret_0123456789abcdefghijkl_mnopqrst" }),
  wrongSecretKeyAsBearer: () => bearer("sb_secret_0123456789abcdefghijkl_mnopqrst"),
  expiredToken: async ({ stack, owner }) =>
    bearer(await token(owner, stack.supabase.jwtSecret, { expiresInSeconds: -60 })),
  expiredTokenOfSigningKey: async ({ owner, signingKey }) =>
    bearer(await token(owner, signingKey, { expiresInSeconds: -60 })),
  tamperedToken: ({ owner, other }) => bearer(withSubject(owner.accessToken, other.id)),
  tamperedTokenOfSigningKey: async ({ owner, other, signingKey }) =>
    bearer(withSubject(await token(owner, signingKey), other.id)),
  unsignedToken: ({ owner }) => bearer(unsigned(owner.accessToken)),
  otherProjectsToken: async ({ owner }) =>
    bearer(await token(owner, "the-secret-of-another-project-0123456789abcdef")),
  otherProjectsSigningKey: async ({ owner, signingKey }) =>
    bearer(await token(owner, { ...await generateSigningKey(), kid: signingKey.kid })),
  forgedServiceRole: async ({ stack, owner }) =>
    bearer(await token(owner, stack.supabase.jwtSecret, { role: "service_role" })),
  user: ({ owner }) => bearer(owner.accessToken),
  userWithPublishableKey: ({ stack, owner }) => ({
    ...bearer(owner.accessToken),
    apikey: stack.supabase.publishableKey,
  }),
  userOfSigningKey: async ({ owner, signingKey }) => bearer(await token(owner, signingKey)),
  userOnAnothers: ({ owner }) => ({ ...bearer(owner.accessToken), onAnothers: true }),
  secretKey: ({ stack }) => ({ apikey: stack.supabase.secretKey }),
  serviceRoleKeyAsBearer: ({ stack }) => bearer(stack.supabase.serviceRoleKey),
  // supabase-js sends its key twice.
  secretKeyTwice: ({ stack }) => ({
    ...bearer(stack.supabase.secretKey),
    apikey: stack.supabase.secretKey,
  }),
  secretKeyBesideUser: ({ stack, owner }) => ({
    ...bearer(owner.accessToken),
    apikey: stack.supabase.secretKey,
  }),
  secretKeyBesideUserOnAnothers: ({ stack, owner }) => ({
    ...bearer(owner.accessToken),
    apikey: stack.supabase.secretKey,
    onAnothers: true,
  }),
} satisfies Record<string, (world: World) => Credentials | Promise<Credentials>>;

type CallerKind = keyof typeof CALLERS;

/** Callers without valid credentials. */
const UNKNOWN = (status: number) => ({
  noCredentials: status,
  emptyBearer: status,
  anonKeyAsBearer: status,
  publishableKey: status,
  anonKeyBesidePublishableKey: status,
  wrongSecretKey: status,
  wrongSecretKeyAsBearer: status,
  expiredToken: status,
  expiredTokenOfSigningKey: status,
  tamperedToken: status,
  tamperedTokenOfSigningKey: status,
  unsignedToken: status,
  otherProjectsToken: status,
  otherProjectsSigningKey: status,
  forgedServiceRole: status,
});
const USERS = (status: number) => ({
  user: status,
  userWithPublishableKey: status,
  userOfSigningKey: status,
  // The lesser of two rights: a user's token makes it a call of that user.
  secretKeyBesideUser: status,
});
const USERS_ON_ANOTHERS = (status: number) => ({
  userOnAnothers: status,
  secretKeyBesideUserOnAnothers: status,
});
const SERVICES = (status: number) => ({
  secretKey: status,
  secretKeyTwice: status,
  serviceRoleKeyAsBearer: status,
});

const CHANGE = { ...UNKNOWN(401), ...USERS(200), ...USERS_ON_ANOTHERS(404), ...SERVICES(200) };

/** A row for each of {@link ROUTES}. */
const EXPECTED: Record<string, Record<CallerKind, number>> = {
  "POST /": { ...UNKNOWN(401), ...USERS(200), ...USERS_ON_ANOTHERS(403), ...SERVICES(200) },
  "DELETE /{machineId}": {
    ...UNKNOWN(401),
    ...USERS(200),
    // As for a machine that does not exist, so that callers cannot learn which names exist.
    ...USERS_ON_ANOTHERS(404),
    ...SERVICES(200),
  },
  "POST /{machineId}/start": CHANGE,
  "POST /{machineId}/stop": CHANGE,
  "POST /{machineId}/suspend": CHANGE,
  "POST /{machineId}/connect": {
    ...UNKNOWN(401),
    ...USERS(200),
    ...USERS_ON_ANOTHERS(404),
    ...SERVICES(200),
  },
  "GET /health": { ...UNKNOWN(200), ...USERS(200), ...USERS_ON_ANOTHERS(200), ...SERVICES(200) },
  "GET /openapi.json": {
    ...UNKNOWN(200),
    ...USERS(200),
    ...USERS_ON_ANOTHERS(200),
    ...SERVICES(200),
  },
  "GET /metrics": { ...UNKNOWN(401), ...USERS(403), ...USERS_ON_ANOTHERS(403), ...SERVICES(200) },
  "POST /reconcile": {
    ...UNKNOWN(401),
    ...USERS(403),
    ...USERS_ON_ANOTHERS(403),
    ...SERVICES(200),
  },
};
const CODES: Record<number, string> = { 401: "unauthorized", 403: "forbidden", 404: "not_found" };

Deno.test("the table has a row for each route and a column for each kind of caller", () => {
  const routes = ROUTES.map(({ method, path }) => `${method} ${path}`);
  assert.deepEqual(Object.keys(EXPECTED).sort(), routes.sort());
  for (const [route, statuses] of Object.entries(EXPECTED)) {
    assert.deepEqual(Object.keys(statuses).sort(), Object.keys(CALLERS).sort(), route);
  }
});

Deno.test("what each kind of caller may call", async (test) => {
  const signingKey = await generateSigningKey();
  await using stack = await startStack({
    supabase: { signingKeys: [signingKey.publicJwk] },
    env: { MAX_MACHINES_PER_USER: "1000" },
  });
  const [owner, other] = await Promise.all([
    stack.supabase.createUser(),
    stack.supabase.createUser(),
  ]);
  const world = { stack, owner, other, signingKey };
  // Without an earlier run, health would warn.
  assert.equal((await stack.reconcile()).status, 200);

  for (const [route, statuses] of Object.entries(EXPECTED)) {
    for (const [caller, status] of Object.entries(statuses)) {
      const credentials = await CALLERS[caller as CallerKind](world);
      await test.step(`${route} by ${caller}: ${status}`, () =>
        assertAnswer(world, route, credentials, status));
    }
  }
});

Deno.test("health shows its checks to services alone", async () => {
  await using stack = await startStack();
  const ask = async (headers: Record<string, string>) => {
    const response = await fetch(`${stack.url}/health`, { headers });
    return await response.json();
  };
  assert.ok(Object.keys((await ask({ apikey: stack.supabase.secretKey })).checks).length > 0);
  const { accessToken } = await stack.supabase.createUser();
  for (const headers of [{}, { authorization: `Bearer ${accessToken}` }]) {
    assert.equal((await ask(headers)).checks, undefined);
  }
});

async function assertAnswer(
  { stack, owner, other }: World,
  route: string,
  { onAnothers = false, ...headers }: Credentials,
  expected: number,
): Promise<void> {
  const target = onAnothers ? other : owner;
  const [method = "", path = ""] = route.split(" ");
  const machineId = path.includes("{machineId}") ? await provisionFor(stack, target) : null;
  const before = changesAtFly(stack);
  const response = await fetch(
    `${stack.url}${path.replace("{machineId}", machineId ?? "").replace(/\/$/, "")}`,
    {
      method,
      headers: { ...headers, "content-type": "application/json" },
      ...(method === "POST" && path === "/" ? { body: JSON.stringify({ userId: target.id }) } : {}),
    },
  );
  const text = await response.text();
  assert.equal(response.status, expected, text);
  if (expected < 400) return;
  assert.equal(JSON.parse(text).code, CODES[expected]);
  assert.equal(response.headers.get("www-authenticate"), expected === 401 ? "Bearer" : null);
  assert.equal(changesAtFly(stack), before, "a refused call changed something at Fly.io");
  if (machineId !== null) assert.equal((await stack.row(machineId)).status, "running");
}

async function provisionFor(stack: Stack, user: LocalUser): Promise<string> {
  const { status, body } = await stack.callAsService({ body: { userId: user.id } });
  assert.equal(status, 200, JSON.stringify(body));
  return body.machineId;
}

function changesAtFly(stack: Stack): number {
  return stack.simulator.requests().filter(({ tookEffect }) => tookEffect).length;
}

function token(
  { id, email }: LocalUser,
  key: string | SigningKey,
  options: { expiresInSeconds?: number; role?: string } = {},
): Promise<string> {
  return mintUserToken({ userId: id, email, key, ...options });
}

/** The token with another user in it and the old signature. */
function withSubject(accessToken: string, sub: string): string {
  const [header, payload = "", signature] = accessToken.split(".");
  return [header, encode({ ...decode(payload), sub }), signature].join(".");
}

/** https://www.rfc-editor.org/rfc/rfc8725#section-2.1 */
function unsigned(accessToken: string): string {
  const [, payload] = accessToken.split(".");
  return `${encode({ alg: "none", typ: "JWT" })}.${payload}.`;
}

function decode(part: string): Record<string, unknown> {
  const bytes = Uint8Array.fromBase64(part, { alphabet: "base64url" });
  return JSON.parse(new TextDecoder().decode(bytes));
}

function encode(part: Record<string, unknown>): string {
  const bytes = new TextEncoder().encode(JSON.stringify(part));
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}
