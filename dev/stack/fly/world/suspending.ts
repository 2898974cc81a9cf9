/** A request to suspend a Machine, from the API or from Fly Proxy. */
import { stop, suspend } from "./lifecycle.ts";
import type { Machine } from "./machine.ts";
import type { World } from "./world.ts";

/** The memory up to which a Machine can be suspended; another page says 4 GB. */
const SUSPENDABLE_MB = 2048;

/**
 * Suspends a started Machine. One that is too large, has swap or a schedule is stopped instead:
 * https://fly.io/docs/reference/suspend-resume/
 */
export function suspendOrStop(world: World, machine: Machine): void {
  const now = world.now();
  const { suspendFails, suspendDelayMs, stopDelayMs } = world.settings;
  const { guest, init, schedule } = machine.identity.config;
  const unfit = guest.memory_mb > SUSPENDABLE_MB || Boolean(init.swap_size_mb) || Boolean(schedule);
  const stops = unfit || (suspendFails > 0 && world.random() < suspendFails);
  if (stops) stop(machine, now, world.draw(stopDelayMs));
  else suspend(machine, now, world.draw(suspendDelayMs));
}
