/** Creating and reading Machines. */
import type { MachineFault } from "../../faults.ts";
import { chooseRegion } from "../world/choose-region.ts";
import { generatedName, machineId, privateIp, ulid } from "../world/identifiers.ts";
import { takeLease } from "../world/leases.ts";
import { launch } from "../world/lifecycle.ts";
import { requireAllowance } from "../world/limits.ts";
import { Machine } from "../world/machine.ts";
import { parseCreateRequest } from "../world/machine-config.ts";
import { launchPlan } from "../world/starting.ts";
import { drawReadDelays, seenMachine } from "../world/visibility.ts";
import { nameViolation } from "./errors.ts";
import { eventsJson } from "./events-json.ts";
import { type AdmittedCall, type ApiAnswer, changed, jsonBody, read } from "./handler.ts";
import { machineJson } from "./machine-json.ts";

/** Where a Machine goes when the call names no region. */
export const DEFAULT_REGION = "iad";

/** `POST /v1/apps/{app}/machines` */
export function createMachine(call: AdmittedCall): ApiAnswer {
  const { world, route } = call;
  const request = parseCreateRequest(jsonBody(call));
  const app = route.app ?? "";
  const name = request.name ?? freeName(call, app);
  const holder = world.nameHolder(app, name);
  if (holder) throw nameViolation(holder.identity.id, name, world.settings.duplicateNameStatus);
  const now = world.now();
  world.images.requireManifest(request.config.image, now);
  const region = chooseRegion(world, request.region ?? DEFAULT_REGION);
  requireAllowance(world, world.organizationOf(app), { app, region, config: request.config });

  const machine = new Machine({
    id: machineId(world.random),
    name,
    app,
    region,
    instanceId: ulid(now, world.random),
    privateIp: privateIp(world.random),
    createdAtMs: now,
    readDelays: drawReadDelays(world),
    config: request.config,
  }, world.random);
  machine.reschedule(now, [
    machine.transition(now, "created", { type: "launch", status: "created", source: "user" }),
  ]);
  machine.cordoned = request.skipServiceRegistration;
  const json = machineJson(machine, now, world.settings);
  if (!request.skipLaunch) {
    launch(machine, launchPlan(world, machine, faultsOf(call, request.config.image)));
  } else if (world.settings.skipLaunch === "stopped") {
    const readyMs = now + world.draw(world.settings.imageReadyMs);
    machine.reschedule(now, [machine.transition(readyMs, "stopped")]);
  }
  world.addMachine(machine);
  if (request.leaseSeconds === 0) return changed(json);
  const lease = takeLease(world, machine, {
    nonce: null,
    ttlSeconds: request.leaseSeconds,
    owner: call.access.organization,
    description: "",
  });
  return changed({ ...json, nonce: lease.nonce });
}

/** An image that does not fit onto the root file system fails to launch. */
function faultsOf({ world, machineFaults }: AdmittedCall, image: string): readonly MachineFault[] {
  if (!world.images.tooLarge(image)) return machineFaults;
  return [{ kind: "fails", state: "launch_failed" }, ...machineFaults];
}

function freeName(call: AdmittedCall, app: string): string {
  for (;;) {
    const name = generatedName(call.world.random);
    if (call.world.nameHolder(app, name) === undefined) return name;
  }
}

/** `GET /v1/apps/{app}/machines/{id}` */
export function getMachine({ world, route, omitted }: AdmittedCall): ApiAnswer {
  const { machine, asOfMs } = seenMachine(world, route, omitted);
  return read(machineJson(machine, asOfMs, world.settings));
}

/** `GET /v1/apps/{app}/machines/{id}/events` */
export function listEvents({ world, route, query, omitted }: AdmittedCall): ApiAnswer {
  const { machine, asOfMs } = seenMachine(world, route, omitted);
  // 20 unless asked for, at most 50 (the API's OpenAPI file).
  const limit = Math.min(50, Number(query.get("limit") ?? 20) || 20);
  return read(eventsJson(machine, asOfMs, world.settings).slice(0, limit));
}
