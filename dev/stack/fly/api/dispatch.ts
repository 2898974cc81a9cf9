/** Carries out one call: admission, then the handler of its action. */
import { type Admission, admit } from "./admission.ts";
import { apps, listRegions } from "./app-handlers.ts";
import { FlyRefusal, unknownPath } from "./errors.ts";
import type { ApiAnswer, ApiCall } from "./handler.ts";
import {
  createMachine,
  deleteMachine,
  getMachine,
  listEvents,
  listMachines,
  startMachine,
  stopMachine,
} from "./machine-handlers.ts";
import { metadata } from "./metadata-handlers.ts";
import type { Action } from "../world/types.ts";
import { waitForMachine } from "./wait.ts";

const HANDLERS: Readonly<Record<Action, (call: ApiCall) => ApiAnswer | Promise<ApiAnswer>>> = {
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
    throw new FlyRefusal(501, "unimplemented");
  },
  unknown: () => {
    throw unknownPath();
  },
};

/** Carries out one call as Fly.io would. A refusal is an answer too. */
export async function dispatch(call: ApiCall, admission: Admission): Promise<ApiAnswer> {
  try {
    admit(call, admission);
    return await HANDLERS[call.route.action](call);
  } catch (error) {
    if (error instanceof FlyRefusal) {
      return { status: error.status, json: error.body(), effect: false };
    }
    throw error;
  }
}
