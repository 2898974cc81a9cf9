/** Where calls about Machines take effect. */
import { z } from "zod";
import { type AdmittedCall, type ApiAnswer, changed, flag, jsonBody, read } from "./handler.ts";
import { invalidArgument, nameViolation, notDestroyable, wrongState } from "./errors.ts";
import { generatedName, machineId, privateIp, ulid } from "../world/identifiers.ts";
import { destroy, launch, stop } from "../world/lifecycle.ts";
import { Machine } from "../world/machine.ts";
import { parseCreateRequest, typeError } from "../world/machine-config.ts";
import { launchPlan, requestStart } from "../world/starting.ts";
import { machineJson, machineSummaryJson } from "./machine-json.ts";

/** Where a Machine goes when the call names no region. */
export const DEFAULT_REGION = "iad";

/** States in which a DELETE needs no `force`, from the text of Fly.io's own refusal. */
const DESTROYABLE = ["created", "stopped", "suspended", "failed", "destroying", "destroyed"];

/** `POST /v1/apps/{app}/machines` */
export function createMachine(call: AdmittedCall): ApiAnswer {
  const { world, route } = call;
  const request = parseCreateRequest(jsonBody(call));
  const region = request.region ?? DEFAULT_REGION;
  if (!world.regions.has(region)) throw invalidArgument(`region '${region}' not found`);
  const app = route.app ?? "";
  const name = request.name ?? freeName(call, app);
  const holder = world.nameHolder(app, name);
  if (holder) throw nameViolation(holder.identity.id, name);
  const full = world.regions.capacityError(region);
  if (full) throw full;

  const now = world.now();
  const machine = new Machine({
    id: machineId(world.random),
    name,
    app,
    region,
    instanceId: ulid(now, world.random),
    privateIp: privateIp(world.random),
    createdAtMs: now,
    config: request.config,
  }, world.random);
  machine.reschedule(now, [
    machine.transition(now, "created", { type: "launch", status: "created", source: "user" }),
  ]);
  const json = machineJson(machine, now);
  if (!request.skipLaunch) launch(machine, launchPlan(world, call.machineFaults));
  world.addMachine(machine);
  return changed(json);
}

function freeName(call: AdmittedCall, app: string): string {
  for (;;) {
    const name = generatedName(call.world.random);
    if (call.world.nameHolder(app, name) === undefined) return name;
  }
}

/** `GET /v1/apps/{app}/machines` with `region`, `state`, `include_deleted`, `summary`, `metadata.{key}` */
export function listMachines({ world, route, query }: AdmittedCall): ApiAnswer {
  const now = world.now();
  const region = query.get("region");
  const states = (query.get("state") ?? "").split(",").filter((state) => state !== "");
  const metadata = [...query].filter(([key]) => key.startsWith("metadata."))
    .map(([key, value]) => [key.slice("metadata.".length), value] as const);
  const withDeleted = flag(query, "include_deleted") || states.includes("destroyed");
  const machines = world.machines(route.app ?? "").filter((machine) => {
    const state = machine.state(now);
    const { config } = machine.identity;
    return (withDeleted || state !== "destroyed") &&
      (!region || machine.identity.region === region) &&
      (states.length === 0 || states.includes(state)) &&
      metadata.every(([key, value]) => config.metadata?.[key] === value);
  });
  const present = flag(query, "summary") ? machineSummaryJson : machineJson;
  return read(machines.map((machine) => present(machine, now)));
}

/** `GET /v1/apps/{app}/machines/{id}` */
export function getMachine({ world, route }: AdmittedCall): ApiAnswer {
  return read(machineJson(world.visibleMachine(route.app, route.machineId), world.now()));
}

/** `GET /v1/apps/{app}/machines/{id}/events` */
export function listEvents({ world, route }: AdmittedCall): ApiAnswer {
  return read(world.visibleMachine(route.app, route.machineId).events(world.now()));
}

/** `DELETE /v1/apps/{app}/machines/{id}`; `kill` is what fly-go and fly-admin call `force`. */
export function deleteMachine({ world, route, query }: AdmittedCall): ApiAnswer {
  const machine = world.visibleMachine(route.app, route.machineId);
  const now = world.now();
  const forced = flag(query, "force") || flag(query, "kill");
  if (!forced && !DESTROYABLE.includes(machine.state(now))) throw notDestroyable();
  const live = machine.live(now);
  if (live) destroy(machine, now, world.draw(world.settings.destroyDelayMs));
  return { status: 200, json: { ok: true }, effect: live };
}

/** `POST /v1/apps/{app}/machines/{id}/start` */
export function startMachine({ world, route, machineFaults }: AdmittedCall): ApiAnswer {
  const machine = world.visibleMachine(route.app, route.machineId);
  const { previousState, effect } = requestStart(world, machine, machineFaults);
  const json = { previous_state: previousState, migrated: false, new_host: "" };
  return { status: 200, json, effect };
}

const stopSchema = z.looseObject({
  signal: z.string().optional(),
  timeout: z.union([z.string(), z.number()]).optional(),
});

/** `POST /v1/apps/{app}/machines/{id}/stop`; the body may be absent. */
export function stopMachine(call: AdmittedCall): ApiAnswer {
  const { world, route } = call;
  const machine = world.visibleMachine(route.app, route.machineId);
  if (call.body !== "") {
    const body = jsonBody(call);
    const parsed = stopSchema.safeParse(body);
    // The name of Go's type is from superfly/docs issue 2187.
    if (!parsed.success) throw typeError("stopRequest", body, parsed.error);
  }
  const now = world.now();
  const state = machine.state(now);
  const running = ["started", "starting", "restarting"].includes(state);
  if (!running && !["stopping", "stopped", "suspended", "failed"].includes(state)) {
    throw wrongState("stop", state);
  }
  if (running) stop(machine, now, world.draw(world.settings.stopDelayMs));
  return { status: 200, json: { ok: true }, effect: running };
}
