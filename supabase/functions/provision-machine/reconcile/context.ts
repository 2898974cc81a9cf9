/** What the steps of one run of reconcile share. */
import type { Settings } from "../config/environment.ts";
import type { Machines } from "../database/machines.ts";
import type { CloudMachine } from "../database/rows.ts";
import type { MachineOfRow } from "../destroy/destroy-machine.ts";
import type { FlyClient } from "../fly/client.ts";
import { ownerTags } from "../fly/identity.ts";
import type { Runtime } from "../runtime.ts";
import type { Deadline } from "../time.ts";
import type { Report } from "./report.ts";

export interface ReconcileContext {
  runtime: Runtime;
  machines: Machines;
  fly: FlyClient;
  settings: Settings;
  deadline: Deadline;
  report: Report;
  requestId: string;
  /** When the run began, milliseconds since the epoch. */
  startedAt: number;
}

/** Where the machine of a row is at Fly.io; null when the row never got an app. */
export function machineOfRow(
  row: CloudMachine,
  { settings }: ReconcileContext,
): MachineOfRow | null {
  if (row.fly_app_name === null) return null;
  return {
    app: row.fly_app_name,
    name: row.machine_id,
    tags: ownerTags(settings.SUPABASE_URL, row.id),
    flyMachineId: row.fly_machine_id,
  };
}
