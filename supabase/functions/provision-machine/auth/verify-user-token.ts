/** Verifies the access tokens of users with Supabase Auth. */
import { GoTrueClient, isAuthRetryableFetchError } from "@supabase/supabase-js";
import { withTimeout } from "../time.ts";
import { AppError } from "../errors.ts";
import type { Platform } from "../config/environment.ts";
import type { Clock, Runtime } from "../runtime.ts";
import { banned, unauthorized } from "./credentials.ts";
import { SigningKeys } from "./signing-keys.ts";
import { readUserToken, type UserToken } from "./token-claims.ts";

/** The Auth server answers in milliseconds; an answer that takes this long will not come. */
const TIMEOUT_MS = 10_000;

/** Whose token it is. */
export interface VerifiedUser {
  userId: string;
  /** Signed in without an account: https://supabase.com/docs/guides/auth/auth-anonymous */
  anonymous: boolean;
}

/** What verifies tokens; one per isolate, so that the project's keys are kept. */
export interface TokenVerifier {
  auth: GoTrueClient;
  keys: SigningKeys;
  platform: Platform;
  clock: Clock;
}

export function createTokenVerifier(
  platform: Platform,
  runtime: Pick<Runtime, "fetch" | "clock">,
): TokenVerifier {
  const { url, serviceKeys: [serviceKey] } = platform;
  const { clock } = runtime;
  // auth-js sets no time limit. The body is read within ours, since a connection can stall there.
  const fetchInTime: typeof fetch = (input, init) =>
    withTimeout(clock, TIMEOUT_MS, async (signal) => {
      const response = await runtime.fetch(input, { ...init, signal });
      return new Response(await response.arrayBuffer(), response);
    });
  const keys = new SigningKeys(clock, async () => {
    const response = await fetchInTime(`${url}/auth/v1/.well-known/jwks.json`, {
      headers: { apikey: serviceKey },
    });
    if (!response.ok) throw new Error(`Auth answered ${response.status} instead of its keys`);
    return await response.json();
  });
  const auth = new GoTrueClient({
    url: `${url}/auth/v1`,
    storageKey: url,
    // Header names must match auth-js's casing, which overwrites them with the user's token.
    headers: { apikey: serviceKey, Authorization: `Bearer ${serviceKey}` },
    persistSession: false,
    autoRefreshToken: false,
    detectSessionInUrl: false,
    fetch: fetchInTime,
  });
  return { auth, keys, platform, clock };
}

/**
 * `getClaims` verifies the signature with one of the project's published keys, or asks the Auth
 * server where tokens are signed with the legacy shared secret.
 * https://supabase.com/docs/reference/javascript/auth-getclaims
 *
 * Throws {@link AppError}: `unauthorized`, or `internal_error` when the Auth server, whose keys are
 * not known or which has to verify a legacy HS256 token, cannot be asked.
 */
export async function verifyUserToken(
  token: string,
  verifier: TokenVerifier,
): Promise<VerifiedUser> {
  const { auth, platform: { url }, clock } = verifier;
  const { header, claims } = readUserToken(token, { url, now: clock.now() });
  const keys = await keysFor(header, verifier);
  let error: Awaited<ReturnType<typeof auth.getClaims>>["error"];
  try {
    ({ error } = await auth.getClaims(token, keys === null ? {} : { jwks: { keys } }));
  } catch (cause) {
    throw unauthorized("The access token is malformed", cause);
  }
  if (error) {
    // Asked about a token of theirs, Auth says so. https://github.com/supabase/auth/pull/2642
    if (error.code === "user_banned") throw banned();
    const status = error.status ?? 0;
    if (isAuthRetryableFetchError(error) || status >= 500 || status === 429) {
      throw cannotVerify(error);
    }
    throw unauthorized("The access token is invalid or has expired", error);
  }
  return { userId: claims.sub.toLowerCase(), anonymous: claims.is_anonymous === true };
}

/** The key that must have signed the token; null when only the Auth server can check it. */
async function keysFor(
  { alg, kid }: UserToken["header"],
  { keys, platform }: TokenVerifier,
): Promise<Exclude<Awaited<ReturnType<SigningKeys["find"]>>, undefined>[] | null> {
  const ask = async <T>(question: Promise<T>) => {
    try {
      return await question;
    } catch (cause) {
      throw cannotVerify(cause);
    }
  };
  if (alg === "HS256") {
    // A project that has a legacy key has the secret that signed it, and users with tokens of it.
    const hasLegacyKey = platform.legacyKey !== null ||
      platform.serviceKeys.some((key) => key.startsWith("eyJ"));
    if (hasLegacyKey || !await ask(keys.any())) return null;
  } else if (["ES256", "RS256"].includes(alg) && kid !== undefined) {
    const key = await ask(keys.find(kid));
    if (key !== undefined) return [key];
  }
  throw unauthorized("The access token is not signed with a key of this project");
}

function cannotVerify(cause: unknown): AppError {
  return new AppError("internal_error", "The access token could not be verified", {
    hint: "Supabase Auth did not answer; try again shortly",
    retryAfterSeconds: 5,
    cause,
  });
}
