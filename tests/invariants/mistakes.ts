/** I9: no machine is destroyed, and no row written off, by mistake. */
import type { MachineRow } from "./evidence.ts";

/** A row as one write left it; `step` is on any scale of time. */
export interface VersionOfRow {
  step: number;
  row: Pick<
    MachineRow,
    "machine_id" | "fly_machine_id" | "status" | "destroy_requested_at"
  >;
}

/** A call to Fly.io that destroyed something, on the same scale of time. */
export interface Destruction {
  sentStep: number;
  /** The machine's id, or the name of the app that it has of its own. */
  subject: string | null;
}

/** Machines that a live row named, and whose destruction was not asked for, when it was ordered. */
export function wrongDestructions(
  versions: readonly VersionOfRow[],
  destructions: readonly Destruction[],
): string[] {
  return destructions.flatMap(({ subject, sentStep }) => {
    const latest = versions.findLast(({ step, row }) =>
      step <= sentStep && (row.fly_machine_id === subject || row.machine_id === subject)
    )?.row;
    return (latest?.status === "running" || latest?.status === "stopped") &&
        latest.destroy_requested_at === null
      ? [`I9: ${latest.machine_id} is ${latest.status}, and ${subject} was destroyed`]
      : [];
  });
}

/** A run of reconcile, in milliseconds since the epoch. */
export interface SightingRun {
  fromMs: number;
  toMs: number;
  actions: readonly { action: string; machineId: string | null }[];
}

const BETWEEN_SIGHTINGS_MS = 60_000;

/** Decisions that no earlier run can have prepared: each needs two sightings a minute apart. */
export function hastyDecisions(runs: readonly SightingRun[]): string[] {
  return runs.flatMap(({ toMs, actions }) =>
    actions.filter(({ action }) => action === "orphansDestroyed" || action === "lost")
      .filter(() => !runs.some(({ fromMs }) => fromMs <= toMs - BETWEEN_SIGHTINGS_MS))
      .map(({ action, machineId }) => `I9: ${machineId} was ${action} at its first sighting`)
  );
}
