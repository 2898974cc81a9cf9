/** What an access token says, before anything proves that it is true. */
import { z } from "zod/v3";
import { unauthorized } from "./credentials.ts";

/** Clocks differ by so much, in seconds. */
const LEEWAY_S = 60;
/** Hosted projects, whose tokens name the project's own address, also behind a custom domain. */
const HOSTED = /^https:\/\/[a-z0-9]+\.supabase\.co$/;

/**
 * `crit` names extensions that a verifier has to understand; we know none.
 * https://www.rfc-editor.org/rfc/rfc7515#section-4.1.11
 */
const Header = z.object({
  alg: z.string(),
  kid: z.string().optional(),
  crit: z.undefined().optional(),
});

/** https://supabase.com/docs/guides/auth/jwt-fields */
const Claims = z.object({
  sub: z.string().uuid(),
  role: z.literal("authenticated"),
  aud: z.union([z.string(), z.array(z.string())]),
  iss: z.string().optional(),
  /** Seconds since the epoch. */
  exp: z.number(),
  nbf: z.number().optional(),
  is_anonymous: z.unknown(),
});

export interface UserToken {
  header: z.output<typeof Header>;
  claims: z.output<typeof Claims>;
}

/**
 * Reads a token and refuses it unless it is meant for a signed-in user of the project at `url`, now
 * (milliseconds since the epoch). Whether it has expired is left to who verifies it. Throws
 * {@link AppError} `unauthorized`.
 */
export function readUserToken(
  token: string,
  { url, now }: { url: string; now: number },
): UserToken {
  const [header, payload] = token.split(".").slice(0, 2).map(jsonOf);
  const readHeader = Header.safeParse(header);
  if (!readHeader.success) throw unauthorized("The access token is malformed", readHeader.error);
  const readClaims = Claims.safeParse(payload);
  if (!readClaims.success) {
    // The anon key is a validly signed token too, but belongs to no user.
    throw unauthorized("The access token does not belong to a signed-in user", readClaims.error);
  }
  const claims = readClaims.data;
  if (![claims.aud].flat().includes("authenticated")) {
    throw unauthorized("The access token is meant for another audience");
  }
  // Elsewhere Auth is reached under other addresses than the one that it puts into tokens.
  if (HOSTED.test(url) && claims.iss !== `${url}/auth/v1`) {
    throw unauthorized("The access token is of another project");
  }
  if (claims.nbf !== undefined && claims.nbf > now / 1000 + LEEWAY_S) {
    throw unauthorized("The access token is not valid yet");
  }
  return { header: readHeader.data, claims };
}

function jsonOf(part: string): unknown {
  try {
    const binary = atob(part.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw unauthorized("The access token is malformed", cause);
  }
}
