/**
 * The key that each machine has of its own, and the tokens signed with it that open a connection to
 * the machine. examples/README.md defines both. Built here in a few lines: a JWT library would be
 * loaded with every new isolate, to do nothing that `Runtime` does not do.
 */
import type { Runtime } from "../runtime.ts";

/** Machines and the router refuse a token that is valid for longer. */
const LIFETIME_SECONDS = 60;

const HEADER = base64UrlOf({ alg: "HS256", typ: "JWT" });

/** Who may connect to which machine, as the claims say it. */
export interface Grant {
  machineId: string;
  /** The machine's owner. */
  userId: string;
  /** The URL of the Supabase project. */
  issuer: string;
  flyAppName: string;
  flyMachineId: string;
}

/** The text of a machine's `CONNECT_KEY`. `secret` is `CONNECT_TOKEN_SECRET`. */
export async function connectKeyOf(
  runtime: Pick<Runtime, "hmacSha256">,
  { secret, machineId }: { secret: string; machineId: string },
): Promise<string> {
  return base64Url(await runtime.hmacSha256(secret, `connect:${machineId}`));
}

/** A token that is valid from now on, and until when: milliseconds since the epoch. */
export async function issueConnectToken(
  runtime: Pick<Runtime, "hmacSha256" | "clock">,
  secret: string,
  { machineId, userId, issuer, flyAppName, flyMachineId }: Grant,
): Promise<{ token: string; expiresAt: number }> {
  const key = await connectKeyOf(runtime, { secret, machineId });
  const iat = Math.floor(runtime.clock.now() / 1_000);
  const exp = iat + LIFETIME_SECONDS;
  const claims = {
    aud: machineId,
    sub: userId,
    iss: issuer,
    app: flyAppName,
    machine: flyMachineId,
    iat,
    exp,
  };
  const signed = `${HEADER}.${base64UrlOf(claims)}`;
  // The key is its text, not the bytes that the text encodes.
  const signature = base64Url(await runtime.hmacSha256(key, signed));
  return { token: `${signed}.${signature}`, expiresAt: exp * 1_000 };
}

function base64UrlOf(value: unknown): string {
  return base64Url(new TextEncoder().encode(JSON.stringify(value)));
}

function base64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_")
    .replace(/=+$/, "");
}
