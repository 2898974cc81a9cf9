/**
 * Who is calling: a service with a secret key, a signed-in user with a JWT, or nobody. The
 * platform's own check is off (`verify_jwt = false`), so this is the only one.
 */
import { isAuthRetryableFetchError } from "@supabase/supabase-js";
import { AppError } from "../errors.ts";
import type { AuthClient } from "./client.ts";
import { isServiceKey } from "./service-keys.ts";

/** `nobody` reaches only the routes that are open to anyone. */
export type Caller = { kind: "service" } | { kind: "user"; userId: string } | { kind: "nobody" };

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * Throws {@link AppError}: `unauthorized`, or `internal_error` when the Auth server that has to
 * verify a legacy HS256 token cannot be asked.
 */
export async function authenticate(
  headers: Headers,
  auth: AuthClient,
  serviceKeys: string[],
): Promise<Caller> {
  if (isService(headers, serviceKeys)) return { kind: "service" };
  const bearer = bearerToken(headers);
  if (bearer !== undefined && looksLikeJwt(bearer)) return await authenticateUser(bearer, auth);
  if (bearer === undefined && headers.get("apikey") === null) {
    throw unauthorized("No credentials: send the user's access token as Authorization: Bearer");
  }
  throw unauthorized("The credentials are neither a user's access token nor a valid secret key");
}

/**
 * Whether the caller is a service. A user's token next to a secret key acts for that user: the
 * lesser of the two rights.
 */
export function isService(headers: Headers, serviceKeys: string[]): boolean {
  const apikey = headers.get("apikey")?.trim();
  const bearer = bearerToken(headers);
  if (bearer !== undefined && isServiceKey(bearer, serviceKeys)) return true;
  if (bearer !== undefined && looksLikeJwt(bearer)) return false;
  return apikey !== undefined && isServiceKey(apikey, serviceKeys);
}

/** What Supabase's secrets look like: a JWT, or a key with its prefix. */
const SECRET = /^([\w-]{16,}\.[\w-]{16,}\.[\w-]{16,}|sb_[a-z]+_[\w-]{16,})$/;

/**
 * The secrets that the caller sent, which must not surface anywhere. Only what can be one: an
 * ordinary word that is sent as a key would be blacked out in everybody's answers and log lines.
 */
export function callerSecrets(headers: Headers): string[] {
  return [headers.get("apikey")?.trim() ?? "", bearerToken(headers) ?? ""]
    .filter((credential) => SECRET.test(credential));
}

function bearerToken(headers: Headers): string | undefined {
  return headers.get("authorization")?.match(/^Bearer +(\S+) *$/i)?.[1];
}

function looksLikeJwt(token: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]*$/.test(token);
}

/**
 * `getClaims` verifies the signature with the project's published keys, or asks the Auth server
 * where tokens are signed with the legacy shared secret.
 * https://supabase.com/docs/reference/javascript/auth-getclaims
 */
async function authenticateUser(token: string, auth: AuthClient): Promise<Caller> {
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
        message: "Supabase Auth did not answer; try again shortly",
        retryAfterSeconds: 5,
        cause: error,
      });
    }
    throw unauthorized("The access token is invalid or has expired", error);
  }
  const claims = data?.claims;
  // The anon key is a validly signed token too, but nobody's.
  if (claims?.role !== "authenticated" || !UUID.test(claims.sub ?? "")) {
    throw unauthorized("The access token does not belong to a signed-in user");
  }
  return { kind: "user", userId: claims.sub.toLowerCase() };
}

function unauthorized(error: string, cause?: unknown): AppError {
  return new AppError("unauthorized", error, {
    message: "Sign in and send a current access token",
    headers: { "www-authenticate": "Bearer" },
    cause,
  });
}
