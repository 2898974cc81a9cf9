/** Why a machine is stopped, from what Fly.io says of it. */
import type { StopReason } from "../database/rows.ts";
import { newestExit } from "../fly/exit-event.ts";
import type { FlyMachine } from "../fly/machines.ts";

const WANTED: readonly StopReason[] = ["requested", "idle", "suspended"];

/** Whether the stop was asked for; any other is a failure of the machine. */
export function isWantedStop(reason: StopReason): boolean {
  return WANTED.includes(reason);
}

/**
 * `stopsWhenIdle`: Fly Proxy may have stopped it. Its events do not say who asked for a stop; the row's
 * history does, where it was the owner.
 */
export function stopReasonOf(machine: FlyMachine, stopsWhenIdle: boolean): StopReason {
  if (machine.state === "suspended") return "suspended";
  const exit = newestExit(machine.events ?? []);
  if (exit === undefined) return "unknown";
  if (exit.requested) return stopsWhenIdle ? "idle" : "requested";
  if (exit.outOfMemory) return "out of memory";
  // A program that a signal ended has no code of its own.
  if (exit.signal !== undefined && exit.exitCode === 0) return `signal ${exit.signal}`;
  return `exit code ${exit.exitCode}`;
}
