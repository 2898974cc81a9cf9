/** Whether a call's credential is good, and what it reaches. */
import { Access, type Tokens } from "../world/tokens.ts";
import type { FlyRequestRecord } from "../world/types.ts";
import { forbidden, unauthorized } from "./errors.ts";

type Scheme = FlyRequestRecord["authorizationScheme"];

/** Splits an `Authorization` header. The token never leaves the two functions below. */
function split(header: string | null): { scheme: Scheme; token: string } {
  if (header === null) return { scheme: "none", token: "" };
  const [first = "", second = "", ...rest] = header.trim().split(/\s+/);
  const bearer = first.toLowerCase() === "bearer";
  if (bearer && second.toLowerCase() === "flyv1" && rest.length === 1) {
    // The documentation's own examples send this: `Bearer ${FLY_API_TOKEN}` with a FLY_API_TOKEN of
    // `fly tokens create`, which starts with `FlyV1 `.
    return { scheme: "Bearer FlyV1", token: rest.join("") };
  }
  if (rest.length > 0) return { scheme: "other", token: "" };
  if (bearer) return { scheme: "Bearer", token: second };
  if (first.toLowerCase() === "flyv1") return { scheme: "FlyV1", token: second };
  return { scheme: "other", token: "" };
}

/** Which scheme a request used, for the request log. */
export function authorizationScheme(header: string | null): Scheme {
  return split(header).scheme;
}

/**
 * What a credential reaches.
 *
 * @throws {FlyRefusal} 401 when no token in it is good, or 403 when one is known to expire that way.
 */
export function authenticate(header: string | null, tokens: Tokens, nowMs: number): Access {
  const matching = tokens.matching(split(header).token);
  const good = matching.filter(({ expiresAtMs }) =>
    expiresAtMs === undefined || nowMs < expiresAtMs
  );
  if (good.length > 0) return new Access(good);
  throw matching.some(({ expiredStatus }) => expiredStatus === 403) ? forbidden() : unauthorized();
}
