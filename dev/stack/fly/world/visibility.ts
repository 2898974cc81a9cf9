/** What a read sees: the API is eventually consistent, and lists have come back with Machines missing. */
import { machineNotFound } from "../api/errors.ts";
import type { Machine } from "./machine.ts";
import type { ReadDelays, Reader } from "./types.ts";
import type { World } from "./world.ts";

/** Machines that a scripted fault leaves out of one read. */
export type Omission = "all" | readonly string[] | null;

export function drawReadDelays(world: World): ReadDelays {
  const { getDelayMs, listDelayMs, organizationListDelayMs } = world.settings;
  return {
    get: world.draw(getDelayMs),
    list: world.draw(listDelayMs),
    organizationList: world.draw(organizationListDelayMs),
  };
}

/** The time whose state a reader sees now; null when it does not see the Machine at all. */
export function seenAt(
  world: World,
  machine: Machine,
  reader: Reader,
  omitted: Omission,
): number | null {
  const { id, name, createdAtMs, readDelays } = machine.identity;
  const asOfMs = world.now() - readDelays[reader];
  if (asOfMs < createdAtMs) return null;
  if (omitted === "all" || omitted?.some((one) => one === id || one === name)) return null;
  const { getOmits, listOmits } = world.settings;
  const probability = reader === "get" ? getOmits : listOmits;
  return probability > 0 && world.random() < probability ? null : asOfMs;
}

/**
 * The Machine of a call to `/machines/{id}`, and the time whose state a GET of it shows.
 *
 * @throws {FlyRefusal} 404 when it never was, belongs to another app, is gone, or is not seen yet.
 */
export function seenMachine(
  world: World,
  { app, machineId }: { app: string | null; machineId: string | null },
  omitted: Omission,
): { machine: Machine; asOfMs: number } {
  const machine = world.anyMachine(app, machineId);
  const asOfMs = seenAt(world, machine, "get", omitted);
  if (asOfMs === null || gone(world, machine, asOfMs)) throw machineNotFound();
  return { machine, asOfMs };
}

/** Whether it was destroyed so long before that GET is 404. */
function gone(world: World, machine: Machine, asOfMs: number): boolean {
  return machine.state(asOfMs) === "destroyed" &&
    asOfMs >= machine.since(asOfMs) + world.settings.getAfterDestroyMs;
}
