/** How long provisioning usually takes for this user. */
import type { MachineRow } from "./machines.ts";

/** The median duration of the machines that came to run; null without any. */
export function usualDurationMs(machines: readonly MachineRow[]): number | null {
  const durations = machines.flatMap(({ machine_events }) =>
    machine_events.filter(({ kind }) => kind === "running")
      .flatMap(({ duration_ms }) => duration_ms ?? [])
  ).sort((a, b) => a - b);
  return durations[Math.floor(durations.length / 2)] ?? null;
}
