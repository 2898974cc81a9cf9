/** Carries out one call: admission, then the handler of its action. */
import { type Admission, admit } from "./admission.ts";
import { addresses } from "./address-handlers.ts";
import { apps } from "./app-handlers.ts";
import { FlyRefusal, unknownPath } from "./errors.ts";
import type { AdmittedCall, ApiAnswer, ApiCall } from "./handler.ts";
import {
  cordon,
  deleteMachine,
  restartMachine,
  startMachine,
  stopMachine,
  suspendMachine,
  updateMachine,
} from "./change-handlers.ts";
import { leases } from "./lease-handlers.ts";
import { createMachine, getMachine, listEvents } from "./machine-handlers.ts";
import { listMachines } from "./list-machines.ts";
import { metadata } from "./metadata-handlers.ts";
import { organizationMachines } from "./organization-machines.ts";
import { listRegions, placements } from "./platform-handlers.ts";
import { createDeployToken, currentToken } from "./token-handlers.ts";
import type { Action } from "../world/types.ts";
import { waitForMachine } from "./wait.ts";

const HANDLERS: Readonly<Record<Action, (call: AdmittedCall) => ApiAnswer | Promise<ApiAnswer>>> = {
  create: createMachine,
  list: listMachines,
  get: getMachine,
  wait: waitForMachine,
  start: startMachine,
  stop: stopMachine,
  delete: deleteMachine,
  events: listEvents,
  metadata,
  suspend: suspendMachine,
  restart: restartMachine,
  update: updateMachine,
  lease: leases,
  cordon,
  uncordon: cordon,
  app: apps,
  addresses,
  token: currentToken,
  "deploy-token": createDeployToken,
  "organization-machines": organizationMachines,
  placements,
  regions: listRegions,
  // Admission has refused these.
  unmodelled: refuse,
  unknown: refuse,
};

/** Carries out one call as Fly.io would. A refusal is an answer too. */
export async function dispatch(call: ApiCall, admission: Admission): Promise<ApiAnswer> {
  try {
    const access = admit(call, admission);
    return await HANDLERS[call.route.action]({ ...call, access });
  } catch (error) {
    if (error instanceof FlyRefusal) {
      return {
        status: error.status,
        json: error.body(call.world.settings.refusalForm),
        effect: false,
      };
    }
    throw error;
  }
}

function refuse(): never {
  throw unknownPath();
}
