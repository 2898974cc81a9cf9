/** Machines that have lived as long as they may: MACHINE_MAX_LIFETIME_HOURS. */
import type { ReconcileContext } from "./context.ts";

const HOUR_MS = 3_600_000;
/** The rest waits for the next run. */
const MAX_PER_RUN = 100;

/** They become due, so that the step that closes due rows destroys them. */
export async function expireMachines(context: ReconcileContext): Promise<void> {
  const { machines, settings, requestId, deadline, report } = context;
  const hours = settings.MACHINE_MAX_LIFETIME_HOURS;
  if (hours === undefined) return;
  const lifetimeMs = Math.round(hours * HOUR_MS);
  const expired = await machines.expire({ lifetimeMs, limit: MAX_PER_RUN, requestId }, deadline);
  for (const { machine_id: machineId, fly_machine_id: flyMachineId } of expired) {
    report.add({ action: "expired", machineId, flyMachineId, reason: `older than ${hours} h` });
  }
}
