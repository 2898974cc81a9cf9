/** I1: no row stays `provisioning`, and no two runs of reconcile work on one row. */
import type { MachineRow } from "./evidence.ts";

/** @param when The rows were read, as in "at the end". */
export function openRows(
  rows: readonly Pick<MachineRow, "machine_id" | "status">[],
  when: string,
): string[] {
  return rows.filter(({ status }) => status === "provisioning")
    .map(({ machine_id }) => `I1: ${machine_id} is provisioning ${when}`);
}

/** One run of reconcile, from its request to its answer on any scale of time. */
export interface ReconcileRun {
  from: number;
  to: number;
  actions: readonly { action: string; machineId: string | null }[];
}

/**
 * A row that one run works on is left alone by another at the same time: the lease. A sighting works
 * on none: both runs may report it, and only one that is a minute older confirms it.
 */
export function brokenLeases(runs: readonly ReconcileRun[]): string[] {
  return runs.flatMap((run, index) =>
    runs.slice(index + 1).filter((other) => other.from < run.to).flatMap((other) =>
      other.actions.filter(({ action, machineId }) =>
        action !== "failed" && action !== "suspected" &&
        run.actions.some((own) => own.action === action && own.machineId === machineId)
      ).map(({ action, machineId }) => `I1: two runs of reconcile at once: ${action} ${machineId}`)
    )
  );
}
