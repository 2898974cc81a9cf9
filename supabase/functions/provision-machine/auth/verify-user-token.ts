/** Verifies the access tokens of users with Supabase Auth. */
import { GoTrueClient, isAuthRetryableFetchError } from "@supabase/supabase-js";
import { withTimeout } from "../time.ts";
import { AppError } from "../errors.ts";
import type { Platform } from "../config/environment.ts";
import type { Runtime } from "../runtime.ts";
import { unauthorized } from "./credentials.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The Auth server answers in milliseconds; an answer that takes this long will not come. */
const TIMEOUT_MS = 10_000;

/** Whose token it is. */
export interface VerifiedUser {
  userId: string;
  /** Signed in without an account: https://supabase.com/docs/guides/auth/auth-anonymous */
  anonymous: boolean;
}

/** A client for the Auth server, one per isolate, so that the keys that verify tokens are kept. */
export function createAuthClient(
  { url, serviceKeys: [serviceKey] }: Platform,
  runtime: Pick<Runtime, "fetch" | "clock">,
): GoTrueClient {
  return new GoTrueClient({
    url: `${url}/auth/v1`,
    // auth-js keeps the keys that verify tokens by this name, for all clients of the isolate.
    storageKey: url,
    // Header names must match auth-js's casing, which overwrites them with the user's token.
    headers: { apikey: serviceKey, Authorization: `Bearer ${serviceKey}` },
    persistSession: false,
    autoRefreshToken: false,
    detectSessionInUrl: false,
    // auth-js sets no time limit. The body is read within ours, since a connection can stall there.
    fetch: (input, init) =>
      withTimeout(runtime.clock, TIMEOUT_MS, async (signal) => {
        const response = await runtime.fetch(input, { ...init, signal });
        return new Response(await response.arrayBuffer(), response);
      }),
  });
}

/**
 * `getClaims` verifies the signature with the project's published keys, or asks the Auth server
 * where tokens are signed with the legacy shared secret.
 * https://supabase.com/docs/reference/javascript/auth-getclaims
 *
 * Throws {@link AppError}: `unauthorized`, or `internal_error` when the Auth
 * server that has to verify a legacy HS256 token cannot be asked.
 */
export async function verifyUserToken(token: string, auth: GoTrueClient): Promise<VerifiedUser> {
  let result: Awaited<ReturnType<typeof auth.getClaims>>;
  try {
    result = await auth.getClaims(token);
  } catch (cause) {
    throw unauthorized("The access token is malformed", cause);
  }
  const { data, error } = result;
  if (error) {
    const status = error.status ?? 0;
    if (isAuthRetryableFetchError(error) || status >= 500 || status === 429) {
      throw new AppError("internal_error", "The access token could not be verified", {
        hint: "Supabase Auth did not answer; try again shortly",
        retryAfterSeconds: 5,
        cause: error,
      });
    }
    throw unauthorized("The access token is invalid or has expired", error);
  }
  const claims = data?.claims;
  // The anon key is a validly signed token too, but belongs to no user.
  if (claims?.role !== "authenticated" || !UUID.test(claims.sub ?? "")) {
    throw unauthorized("The access token does not belong to a signed-in user");
  }
  return { userId: claims.sub.toLowerCase(), anonymous: claims.is_anonymous === true };
}
