/** Starting, stopping, suspending, updating and destroying Machines. */
import { z } from "zod";
import { deploysDisabled, hostUnreachable, NO_ROOM } from "../world/hosts.ts";
import { ulid } from "../world/identifiers.ts";
import { destroy, replace, restart, stop } from "../world/lifecycle.ts";
import { parseCreateRequest } from "../world/machine-config.ts";
import type { Machine } from "../world/machine.ts";
import { requestStart } from "../world/starting.ts";
import { suspendOrStop } from "../world/suspending.ts";
import { seenMachine } from "../world/visibility.ts";
import { notDestroyable, versionMismatch, wrongState } from "./errors.ts";
import {
  type AdmittedCall,
  type ApiAnswer,
  changed,
  flag,
  jsonBody,
  parseBody,
} from "./handler.ts";
import { refuseIfLeased, waitForLease } from "./lease-handlers.ts";
import { machineJson } from "./machine-json.ts";

/** States in which a DELETE needs no `force`, from the text of Fly.io's own refusal. */
const DESTROYABLE = ["created", "stopped", "suspended", "failed", "destroying", "destroyed"];
const UP = ["started", "starting", "restarting"];

/** `DELETE /v1/apps/{app}/machines/{id}`; `kill` is what fly-go and fly-admin call `force`. */
export async function deleteMachine(call: AdmittedCall): Promise<ApiAnswer> {
  const { world, route, query, omitted } = call;
  const { machine } = seenMachine(world, route, omitted);
  const forced = flag(query, "force") || flag(query, "kill");
  if (!forced && !DESTROYABLE.includes(machine.state(world.now()))) throw notDestroyable();
  await waitForLease(call, machine);
  const { status, destroys } = machine.host;
  const away = status !== "ok";
  if (away && destroys === "503") throw hostUnreachable();
  if (away && destroys === "hangs") await untilLeft(call);
  const now = world.now();
  const live = machine.live(now);
  if (live) destroy(machine, now, away ? null : world.draw(world.settings.destroyDelayMs));
  return { status: 200, json: { ok: true }, effect: live };
}

/** Rejects when the caller leaves. */
function untilLeft({ signal }: AdmittedCall): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** `POST /v1/apps/{app}/machines/{id}/start` */
export function startMachine(call: AdmittedCall): ApiAnswer {
  const { world, route, omitted, machineFaults, leaseNonce } = call;
  const { machine } = seenMachine(world, route, omitted);
  const { previousState, effect } = requestStart(world, machine, { machineFaults, leaseNonce });
  const json = { previous_state: previousState, migrated: false, new_host: "" };
  return { status: 200, json, effect };
}

const stopSchema = z.looseObject({
  signal: z.string().optional(),
  timeout: z.union([z.string(), z.number()]).optional(),
});

/** `POST /v1/apps/{app}/machines/{id}/stop`; the body may be absent. */
export async function stopMachine(call: AdmittedCall): Promise<ApiAnswer> {
  const { world, route, omitted } = call;
  const { machine } = seenMachine(world, route, omitted);
  // The name of Go's type is from superfly/docs issue 2187.
  if (call.body !== "") parseBody(call, stopSchema, "stopRequest");
  await waitForLease(call, machine);
  refuseIfAway(machine);
  const now = world.now();
  const state = machine.state(now);
  const running = [...UP, "suspended", "suspending"].includes(state);
  if (!running && !["stopping", "stopped", "failed"].includes(state)) {
    throw wrongState("stop", state);
  }
  if (running) stop(machine, now, world.draw(world.settings.stopDelayMs));
  return { status: 200, json: { ok: true }, effect: running };
}

/** `POST /v1/apps/{app}/machines/{id}/suspend` */
export function suspendMachine(call: AdmittedCall): ApiAnswer {
  const { world, route, omitted } = call;
  const { machine } = seenMachine(world, route, omitted);
  refuseIfLeased(call, machine);
  refuseIfAway(machine);
  const state = machine.state(world.now());
  if (state !== "started") throw wrongState("suspend", state);
  suspendOrStop(world, machine);
  return changed({ ok: true });
}

/** `POST /v1/apps/{app}/machines/{id}/restart` */
export function restartMachine(call: AdmittedCall): ApiAnswer {
  const { world, route, omitted } = call;
  const { machine } = seenMachine(world, route, omitted);
  refuseIfLeased(call, machine);
  refuseIfAway(machine);
  const now = world.now();
  const state = machine.state(now);
  if (state !== "started") throw wrongState("restart", state);
  const { stopDelayMs, startDelayMs } = world.settings;
  restart(machine, now, world.draw(stopDelayMs) + world.draw(startDelayMs));
  return changed({ ok: true });
}

/** `POST …/cordon` and `POST …/uncordon` */
export function cordon({ world, route, omitted }: AdmittedCall): ApiAnswer {
  const { machine } = seenMachine(world, route, omitted);
  machine.cordoned = route.action === "cordon";
  return changed({ ok: true });
}

/**
 * `POST /v1/apps/{app}/machines/{id}`: the whole config is replaced; a Machine that is up starts again,
 * another one stays stopped. Another name or region in the body changes nothing: not published.
 */
export function updateMachine(call: AdmittedCall): ApiAnswer {
  const { world, route, omitted } = call;
  const { machine } = seenMachine(world, route, omitted);
  const { config, currentVersion } = parseCreateRequest(jsonBody(call));
  refuseIfLeased(call, machine);
  refuseIfAway(machine);
  if (!machine.host.deploys) throw deploysDisabled();
  const now = world.now();
  const state = machine.state(now);
  const wasUp = [...UP, "failed"].includes(state);
  if (!wasUp && !["stopped", "suspended"].includes(state)) throw wrongState("update", state);
  if (currentVersion && currentVersion !== machine.identity.instanceId) throw versionMismatch();
  // Fly.io puts the old version back.
  if (wasUp && machine.host.noRoom) throw NO_ROOM[machine.host.noRoom]();
  machine.setVersion(ulid(now, world.random), config);
  // The answer comes before the image is swapped.
  const json = machineJson(machine, now, world.settings);
  const { replaceDelayMs, startDelayMs } = world.settings;
  replace(machine, now, world.draw(replaceDelayMs), wasUp ? world.draw(startDelayMs) : null);
  return changed(json);
}

function refuseIfAway({ host }: Machine): void {
  if (host.status !== "ok") throw hostUnreachable();
}
