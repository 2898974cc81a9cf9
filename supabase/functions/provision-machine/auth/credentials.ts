/**
 * Who the caller claims to be: a service with a secret key, or a signed-in user with a JWT, which is
 * verified next. The platform's own check is off (`verify_jwt = false`), so this is the only one.
 */
import { AppError } from "../errors.ts";

/**
 * Characters. A token of Supabase Auth with much metadata has two thousand; whatever is longer is
 * refused before anything is computed from it.
 */
const LONGEST_CREDENTIAL = 8_192;

export type Caller =
  | { kind: "service" }
  /** `anonymous`: signed in without an account of their own. */
  | { kind: "user"; userId: string; anonymous: boolean };

/** What a request brings along: a key that was checked, or a token that has to be. */
export type Credentials =
  | { kind: "service" }
  /** The legacy key, beside secret keys: whether it counts is for the gateway to say. */
  | { kind: "legacy-key" }
  | { kind: "user-token"; token: string };

/** The keys that a project has. */
export interface Keys {
  serviceKeys: readonly string[];
  legacyKey: string | null;
}

/** Throws {@link AppError} `unauthorized` when there are none, or none that can be valid. */
export function credentialsOf(headers: Headers, keys: Keys): Credentials {
  for (const name of ["authorization", "apikey"]) {
    if (headers.has(name) && credentialIn(headers, name) === undefined) {
      throw unauthorized(`No token or key has more than ${LONGEST_CREDENTIAL} characters`);
    }
  }
  if (isService(headers, keys.serviceKeys)) return { kind: "service" };
  if (isLegacyKey(headers, keys)) return { kind: "legacy-key" };
  const token = bearerToken(headers);
  if (token !== undefined && looksLikeJwt(token)) return { kind: "user-token", token };
  if (token === undefined && headers.get("apikey") === null) {
    throw unauthorized("No credentials: send the user's access token as Authorization: Bearer");
  }
  throw unauthorized("The credentials are neither a user's access token nor a valid secret key");
}

/**
 * Whether the caller is a service. A user's token next to a secret key acts for that user: the
 * lesser of the two rights.
 */
export function isService(headers: Headers, serviceKeys: readonly string[]): boolean {
  const apikey = credentialIn(headers, "apikey")?.trim();
  const bearer = bearerToken(headers);
  if (bearer !== undefined && isServiceKey(bearer, serviceKeys)) return true;
  if (bearer !== undefined && looksLikeJwt(bearer)) return false;
  return apikey !== undefined && isServiceKey(apikey, serviceKeys);
}

/** Whether the caller has the legacy key of a project that has secret keys too. */
export function isLegacyKey(headers: Headers, { legacyKey }: Keys): boolean {
  return legacyKey !== null && isService(headers, [legacyKey]);
}

/**
 * Whether `candidate` is one of `keys`, in a time that reveals nothing about them: it depends only
 * on the candidate's own length and the number of keys, since every character is compared with
 * every key.
 */
export function isServiceKey(candidate: string, keys: readonly string[]): boolean {
  let matches = 0;
  for (const key of keys) {
    let difference = candidate.length ^ key.length;
    for (let i = 0; i < candidate.length; i++) {
      difference |= candidate.charCodeAt(i) ^ key.charCodeAt(i % key.length);
    }
    matches |= Number(difference === 0);
  }
  return matches === 1;
}

/** What Supabase's secrets look like: a JWT, or a key with its prefix. */
const SECRET = /^([\w-]{16,}\.[\w-]{16,}\.[\w-]{16,}|sb_[a-z]+_[\w-]{16,})$/;

/**
 * The secrets that the caller sent, which must not surface anywhere. Only what can be one: an
 * ordinary word sent as a key would be redacted in every caller's answers and log lines.
 */
export function callerSecrets(headers: Headers): string[] {
  return [credentialIn(headers, "apikey")?.trim() ?? "", bearerToken(headers) ?? ""]
    .filter((credential) => SECRET.test(credential));
}

function bearerToken(headers: Headers): string | undefined {
  return credentialIn(headers, "authorization")?.match(/^Bearer +(\S+) *$/i)?.[1];
}

function credentialIn(headers: Headers, name: string): string | undefined {
  const value = headers.get(name) ?? undefined;
  return value !== undefined && value.length > LONGEST_CREDENTIAL ? undefined : value;
}

function looksLikeJwt(token: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]*$/.test(token);
}

/** The answer to a caller who cannot be identified. */
export function unauthorized(error: string, cause?: unknown): AppError {
  return new AppError("unauthorized", error, {
    headers: { "www-authenticate": "Bearer" },
    cause,
  });
}

/** The answer to a user whom the project has banned: Supabase Auth answers 403 as well. */
export function banned(): AppError {
  return new AppError("forbidden", "This user is banned", {
    hint: "Ask the operators of this service",
  });
}
