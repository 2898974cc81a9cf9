/** What a handler gets and gives back, and how it reads a body or a flag. */
import { FlyRefusal } from "./errors.ts";
import type { MachineFault } from "../../faults.ts";
import type { Route } from "./routes.ts";
import type { World } from "../world/world.ts";

/** One authorized call to the API, with all that its handler needs. */
export interface ApiCall {
  world: World;
  method: string;
  route: Route;
  query: URLSearchParams;
  /** The body's text; empty when there is none. */
  body: string;
  /** What goes wrong with a Machine that this call creates or starts. */
  machineFaults: readonly MachineFault[];
  /** Aborted when the caller left or the simulator shuts down: only a wait takes notice. */
  signal: AbortSignal;
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

/** Go's ParseBool, except that a bare `?flag=` counts as true: fly-admin types it as `''`. */
export function flag(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  return value !== null && !["false", "0", "f", "F", "FALSE", "False"].includes(value);
}
