/** A request to start a Machine, from the API or from Fly Proxy, and its refusals. */
import { wrongState } from "../api/errors.ts";
import type { MachineFault } from "../../faults.ts";
import { type LaunchPlan, start } from "./lifecycle.ts";
import type { Machine } from "./machine.ts";
import type { MachineState } from "./types.ts";
import type { World } from "./world.ts";

/** A start that was accepted. */
export interface AcceptedStart {
  previousState: MachineState;
  /** False when the Machine was up already. */
  effect: boolean;
}

/** How a Machine comes up that is launched or started now. */
export function launchPlan(
  world: World,
  machineFaults: readonly MachineFault[],
): LaunchPlan {
  return {
    nowMs: world.now(),
    startDelayMs: world.draw(world.settings.startDelayMs),
    destroyDelayMs: world.draw(world.settings.destroyDelayMs),
    machineFaults,
  };
}

/** @throws {FlyRefusal} when the Machine's state forbids it, or there is no room. */
export function requestStart(
  world: World,
  machine: Machine,
  machineFaults: readonly MachineFault[] = [],
): AcceptedStart {
  const now = world.now();
  const state = machine.state(now);
  const startable = ["stopped", "suspended", "failed"].includes(state) ||
    // A new Machine that is still on its way up refuses; one made with skip_launch waits for this call.
    (state === "created" && machine.scheduled(now).length === 0);
  const up = state === "started" || state === "starting";
  if (!startable && !up) throw wrongState("start", state);
  if (startable) {
    const full = world.regions.capacityError(machine.identity.region);
    if (full) throw full;
    start(machine, launchPlan(world, machineFaults));
  }
  return { previousState: state, effect: startable };
}
