// Checks a connect token: proof, for a minute, that its holder may use one machine. Copy this file
// as it is; ../README.md defines the token. The router's copy of it is identical.
// deno-lint-ignore-file explicit-module-boundary-types -- plain JavaScript
import { jwtVerify } from "jose";

const MAX_LENGTH = 2048;
const MAX_LIFETIME_SECONDS = 60;
const CLOCK_LEEWAY_SECONDS = 5;

/** Three parts, the last one 32 bytes in their only spelling, so that a signature has no variants. */
const FORM = /^[\w-]+\.[\w-]+\.[\w-]{42}[AEIMQUYcgkosw048]$/;

const REASONS = {
  ERR_JOSE_ALG_NOT_ALLOWED: "its algorithm is not HS256",
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: "it was not signed for this machine",
  ERR_JWT_EXPIRED: "it has expired",
};

/** Why a token does not let its holder in; the message may be shown to the caller. */
export class TokenRefused extends Error {
  constructor(reason, options) {
    super(`The connect token was refused: ${reason}.`, options);
  }
}

/**
 * Resolves with the claims of the token in the query of `url`; throws TokenRefused for anything but
 * exactly one good token for `machineId`. `key` is the text of CONNECT_KEY, `now` a Date.
 */
export async function checkConnectToken(url, { machineId, key, now = new Date() }) {
  const query = url.includes("?") ? url.slice(url.indexOf("?")) : "";
  const [token, ...others] = new URLSearchParams(query).getAll("token");
  if (!token) throw new TokenRefused("there is none in the query parameter token");
  if (others.length > 0) throw new TokenRefused("there is more than one");
  if (token.length > MAX_LENGTH || !FORM.test(token)) throw new TokenRefused("it is malformed");

  const { payload } = await jwtVerify(token, new TextEncoder().encode(key), {
    algorithms: ["HS256"],
    audience: machineId,
    requiredClaims: ["sub", "exp"],
    maxTokenAge: MAX_LIFETIME_SECONDS,
    clockTolerance: CLOCK_LEEWAY_SECONDS,
    currentDate: now,
  }).catch((cause) => {
    const claim = cause.claim ? `its claim ${cause.claim} is not accepted` : "it is malformed";
    throw new TokenRefused(REASONS[cause.code] ?? claim, { cause });
  });

  const lifetime = payload.exp - payload.iat;
  if (!(lifetime > 0 && lifetime <= MAX_LIFETIME_SECONDS)) {
    throw new TokenRefused(`it must be valid for at most ${MAX_LIFETIME_SECONDS} seconds`);
  }
  // A list of audiences would pass the library.
  if (payload.aud !== machineId) throw new TokenRefused("its claim aud is not accepted");
  if (typeof payload.sub !== "string" || !/^[\w-]{1,64}$/.test(payload.sub)) {
    throw new TokenRefused("its claim sub is not accepted");
  }
  return payload;
}
