/** Which token may call which app; part of admission. */
import { FlyRefusal, forbidden, unauthorized } from "./errors.ts";
import type { FlyRequestRecord } from "../world/types.ts";

/** A token that the simulator accepts; with `apps`, for these apps alone (a deploy token). */
export interface Token {
  /** With or without the prefix `FlyV1 ` that `fly tokens create` prints. */
  token: string;
  apps?: readonly string[];
}

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
 * Decides whether a token may make a call.
 *
 * A token for other apps gets 403, not 404: the API looks the app up first and then refuses the read
 * (fly-go, flaps/flaps_apps.go: 403 is "the app exists, in an org we do not have access to").
 *
 * @param app The app in the path, if there is one.
 * @returns The refusal, or undefined.
 */
export function refusal(
  header: string | null,
  tokens: readonly Token[],
  app: string | null,
): FlyRefusal | undefined {
  const { token: given } = split(header);
  // A FlyV1 credential is a comma-separated list of tokens (fly-go, tokens/tokens.go).
  const parts = new Set([given, ...given.split(",")].filter((part) => part !== ""));
  const matching = tokens.filter(({ token }) => parts.has(token.replace(/^FlyV1\s+/i, "")));
  if (matching.length === 0) return unauthorized();
  const allowed = matching.some(({ apps }) =>
    apps === undefined || (app !== null && apps.includes(app))
  );
  return allowed ? undefined : forbidden(app ?? "");
}
