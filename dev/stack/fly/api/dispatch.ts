import { apps, listRegions } from "./app-handlers.ts";
import { refusal, type Token } from "./authorization.ts";
import type { Answer, Call } from "./handler.ts";
import { appNotFound, FlyError, notModelled, rateLimited } from "./errors.ts";
import {
  createMachine,
  deleteMachine,
  getMachine,
  listEvents,
  listMachines,
  startMachine,
  stopMachine,
  unknownPath,
} from "./machine-handlers.ts";
import { metadata } from "./metadata-handlers.ts";
import type { RateLimiter } from "./rate-limit.ts";
import type { Action } from "../world/types.ts";
import { waitForMachine } from "./wait.ts";

const HANDLERS: Readonly<Record<Action, (call: Call) => Answer | Promise<Answer>>> = {
  create: createMachine,
  list: listMachines,
  get: getMachine,
  wait: waitForMachine,
  start: startMachine,
  stop: stopMachine,
  delete: deleteMachine,
  events: listEvents,
  metadata,
  app: apps,
  regions: listRegions,
  unmodelled: () => {
    throw new FlyError(501, "unimplemented");
  },
  unknown: unknownPath,
};

export interface Gate {
  /** The value of the `Authorization` header. */
  authorization: string | null;
  tokens: readonly Token[];
  limiter: RateLimiter;
  path: string;
}

/**
 * Carries out one call as Fly.io would: token, app, rate limit, then the action itself.
 * A refusal is an answer too.
 */
export async function perform(call: Call, gate: Gate): Promise<Answer> {
  try {
    admit(call, gate);
    return await HANDLERS[call.route.action](call);
  } catch (error) {
    if (error instanceof FlyError) {
      return { status: error.status, json: error.body(), effect: false };
    }
    throw error;
  }
}

function admit({ world, method, route }: Call, gate: Gate): void {
  if (route.action === "unknown") unknownPath();
  if (route.action === "regions") return;
  const refused = refusal(gate.authorization, gate.tokens, route.app);
  if (refused?.status === 401) throw refused;
  if (route.app !== null && world.app(route.app) === undefined) throw appNotFound();
  if (refused) throw refused;
  if (route.action === "unmodelled") throw notModelled(method, gate.path);
  const { rateLimits } = world.settings;
  const subject = route.machineId ?? route.app ?? "";
  if (
    rateLimits !== null &&
    !gate.limiter.take(rateLimits, route.action, method, subject, world.now())
  ) {
    throw rateLimited();
  }
}
