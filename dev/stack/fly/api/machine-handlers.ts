/** Where calls about Machines take effect. */
import { z } from "zod";
import { type AdmittedCall, type ApiAnswer, changed, flag, jsonBody, read } from "./handler.ts";
import { nameViolation, notDestroyable, wrongState } from "./errors.ts";
import { generatedName, machineId, privateIp, ulid } from "../world/identifiers.ts";
import { destroy, launch, stop } from "../world/lifecycle.ts";
import { Machine } from "../world/machine.ts";
import { parseCreateRequest, typeError } from "../world/machine-config.ts";
import { launchPlan, requestStart } from "../world/starting.ts";
import { chooseRegion } from "../world/choose-region.ts";
import { drawReadDelays, seenMachine } from "../world/visibility.ts";
import { machineJson } from "./machine-json.ts";

/** Where a Machine goes when the call names no region. */
export const DEFAULT_REGION = "iad";

/** States in which a DELETE needs no `force`, from the text of Fly.io's own refusal. */
const DESTROYABLE = ["created", "stopped", "suspended", "failed", "destroying", "destroyed"];

/** `POST /v1/apps/{app}/machines` */
export function createMachine(call: AdmittedCall): ApiAnswer {
  const { world, route } = call;
  const request = parseCreateRequest(jsonBody(call));
  const app = route.app ?? "";
  const name = request.name ?? freeName(call, app);
  const holder = world.nameHolder(app, name);
  if (holder) throw nameViolation(holder.identity.id, name);
  const region = chooseRegion(world, request.region ?? DEFAULT_REGION);

  const now = world.now();
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

/** `GET /v1/apps/{app}/machines/{id}` */
export function getMachine({ world, route, omitted }: AdmittedCall): ApiAnswer {
  const { machine, asOfMs } = seenMachine(world, route, omitted);
  return read(machineJson(machine, asOfMs));
}

/** `GET /v1/apps/{app}/machines/{id}/events` */
export function listEvents({ world, route, query, omitted }: AdmittedCall): ApiAnswer {
  const { machine, asOfMs } = seenMachine(world, route, omitted);
  // 20 unless asked for, at most 50 (the API's OpenAPI file).
  const limit = Math.min(50, Number(query.get("limit") ?? 20) || 20);
  return read(machine.events(asOfMs).slice(0, limit));
}

/** `DELETE /v1/apps/{app}/machines/{id}`; `kill` is what fly-go and fly-admin call `force`. */
export function deleteMachine({ world, route, query, omitted }: AdmittedCall): ApiAnswer {
  const { machine } = seenMachine(world, route, omitted);
  const now = world.now();
  const forced = flag(query, "force") || flag(query, "kill");
  if (!forced && !DESTROYABLE.includes(machine.state(now))) throw notDestroyable();
  const live = machine.live(now);
  if (live) destroy(machine, now, world.draw(world.settings.destroyDelayMs));
  return { status: 200, json: { ok: true }, effect: live };
}

/** `POST /v1/apps/{app}/machines/{id}/start` */
export function startMachine({ world, route, machineFaults, omitted }: AdmittedCall): ApiAnswer {
  const { machine } = seenMachine(world, route, omitted);
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
  const { world, route, omitted } = call;
  const { machine } = seenMachine(world, route, omitted);
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
