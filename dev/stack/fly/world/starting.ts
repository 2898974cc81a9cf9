/** A request to start a Machine, from the API or from Fly Proxy, and its refusals. */
import type { MachineFault } from "../../faults.ts";
import {
  beingReplaced,
  type FlyRefusal,
  stillActive,
  stillStarting,
  wrongState,
} from "../api/errors.ts";
import { hostUnreachable, NO_ROOM } from "./hosts.ts";
import { foreignLease, leaseHeld } from "./leases.ts";
import { type LaunchPlan, start } from "./lifecycle.ts";
import { requireTrialTime } from "./limits.ts";
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
  machine: Machine,
  machineFaults: readonly MachineFault[],
): LaunchPlan {
  const { trialSinceMs } = world.organizationOf(machine.identity.app);
  return {
    lifetimeMs: trialSinceMs === null ? null : world.settings.trialLifetimeMs,
    nowMs: world.now(),
    startDelayMs: world.draw(world.settings.startDelayMs),
    destroyDelayMs: world.draw(world.settings.destroyDelayMs),
    machineFaults,
  };
}

/** What may be said with a start. */
export interface StartOptions {
  machineFaults?: readonly MachineFault[];
  /** Of a lease that the caller holds. */
  leaseNonce?: string | null;
}

/** @throws {FlyRefusal} when state, lease or host forbid it. */
export function requestStart(
  world: World,
  machine: Machine,
  { machineFaults = [], leaseNonce = null }: StartOptions = {},
): AcceptedStart {
  const now = world.now();
  const state = machine.state(now);
  const lease = foreignLease(machine, leaseNonce, now);
  if (lease) throw leaseHeld(machine, lease);
  if (state === "started" && world.settings.startOfStarted === "ok") {
    return { previousState: state, effect: false };
  }
  const refused = refusalByState(world, machine) ?? refusalByHost(world, machine);
  if (refused) throw refused;
  requireTrialTime(world, world.organizationOf(machine.identity.app));
  start(machine, launchPlan(world, machine, machineFaults));
  return { previousState: state, effect: true };
}

function refusalByState(world: World, machine: Machine): FlyRefusal | undefined {
  const now = world.now();
  const state = machine.state(now);
  const { startRefusalStatus: status, skipLaunch } = world.settings;
  switch (state) {
    case "suspended":
    case "suspending":
    case "failed":
      return undefined;
    case "stopped":
      return now < settledAtMs(world, machine) ? stillActive(status) : undefined;
    case "started":
    case "starting":
    case "restarting":
      return stillStarting();
    case "replacing":
    case "updating":
      return beingReplaced(status);
    default: {
      // By the documentation, one made with skip_launch waits in `created` for its start.
      const waits = state === "created" && skipLaunch === "created" &&
        machine.scheduled(now).length === 0;
      return waits ? undefined : wrongState("start", state, status);
    }
  }
}

/** A stopped Machine has no claim on its host (flyctl, internal/command/machine/start.go). */
function refusalByHost(world: World, { host, identity }: Machine): FlyRefusal | undefined {
  if (host.status !== "ok") return hostUnreachable();
  return host.noRoom === null
    ? world.regions.capacityError(identity.region)
    : NO_ROOM[host.noRoom]();
}

const settled = new WeakMap<Machine, { sinceMs: number; atMs: number }>();

/** From when on a stopped Machine can be started; drawn once for each stop. */
function settledAtMs(world: World, machine: Machine): number {
  const sinceMs = machine.since(world.now());
  const known = settled.get(machine);
  if (known?.sinceMs === sinceMs) return known.atMs;
  const atMs = sinceMs + world.draw(world.settings.stillActiveMs);
  settled.set(machine, { sinceMs, atMs });
  return atMs;
}
