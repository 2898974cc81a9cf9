/** What a handler of the API gets and gives. */
import type { z } from "zod";
import { FlyRefusal } from "./errors.ts";
import type { MachineFault } from "../../faults.ts";
import { typeError } from "../world/machine-config.ts";
import type { Route } from "./routes.ts";
import type { Access } from "../world/tokens.ts";
import type { Omission } from "../world/visibility.ts";
import type { World } from "../world/world.ts";

/** A call to the API, before its token was checked. */
export interface ApiCall {
  world: World;
  method: string;
  route: Route;
  query: URLSearchParams;
  /** The body's text; empty when there is none. */
  body: string;
  /** What goes wrong with a Machine that this call creates or starts. */
  machineFaults: readonly MachineFault[];
  /** The header `fly-machine-lease-nonce`. */
  leaseNonce: string | null;
  /** Machines that this call does not see. */
  omitted: Omission;
  /** Aborted when the caller left or the simulator shuts down: only a wait takes notice. */
  signal: AbortSignal;
}

/** A call that was admitted, with all that its handler needs. */
export interface AdmittedCall extends ApiCall {
  access: Access;
}

/** What a handler did and answers. */
export interface ApiAnswer {
  status: number;
  /** Sent as JSON; undefined sends no body. */
  json?: unknown;
  /** True when something in the world changed. */
  effect: boolean;
}

/** An answer to a call that changed nothing. */
export function read(json: unknown): ApiAnswer {
  return { status: 200, json, effect: false };
}

/** An answer to a call that changed something. */
export function changed(json: unknown, status = 200): ApiAnswer {
  return { status, json, effect: true };
}

/**
 * The body as JSON.
 *
 * @throws {FlyRefusal} 400 when it is no JSON. The text is ours.
 */
export function jsonBody(call: ApiCall): unknown {
  try {
    return JSON.parse(call.body);
  } catch (error) {
    if (error instanceof SyntaxError) throw new FlyRefusal(400, `invalid JSON: ${error.message}`);
    throw error;
  }
}

/** An error of Go's JSON decoder, or the body as `schema` has it. */
export function parseBody<T>(call: ApiCall, schema: z.ZodType<T>, type: string): T {
  const body = jsonBody(call);
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw typeError(type, body, parsed.error);
  return parsed.data;
}

/** Go's ParseBool, except that a bare `?flag=` counts as true: fly-admin types it as `''`. */
export function flag(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  return value !== null && !["false", "0", "f", "F", "FALSE", "False"].includes(value);
}
