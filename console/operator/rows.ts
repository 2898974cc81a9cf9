/** The rows that the operator's page reads over the Data API. */
import * as z from "zod/mini";

/** How a table is read. */
export interface Rows<T> {
  table: string;
  columns: string;
  row: z.ZodMiniType<T>;
}

const MachineEvent = z.object({
  id: z.number(),
  kind: z.string(),
  error_code: z.nullable(z.string()),
  duration_ms: z.nullable(z.number()),
  request_id: z.string(),
  created_at: z.string(),
  cloud_machines: z.nullable(z.object({
    machine_id: z.string(),
    region: z.string(),
    user_id: z.nullable(z.string()),
  })),
});

const OperatorMachine = z.object({
  id: z.string(),
  machine_id: z.string(),
  status: z.enum(["provisioning", "running", "stopped", "error", "destroyed"]),
  region: z.string(),
  cpu_priority: z.string(),
  /** Null once the user is deleted. */
  user_id: z.nullable(z.string()),
  fly_app_name: z.nullable(z.string()),
  fly_machine_id: z.nullable(z.string()),
  error_code: z.nullable(z.string()),
  stop_reason: z.nullable(z.string()),
  request_id: z.string(),
  created_at: z.string(),
  destroy_requested_at: z.nullable(z.string()),
});

export type MachineEvent = z.output<typeof MachineEvent>;
export type OperatorMachine = z.output<typeof OperatorMachine>;

export const EVENTS: Rows<MachineEvent> = {
  table: "machine_events",
  columns: "id,kind,error_code,duration_ms,request_id,created_at," +
    "cloud_machines(machine_id,region,user_id)",
  row: MachineEvent,
};

export const MACHINES: Rows<OperatorMachine> = {
  table: "cloud_machines",
  columns: Object.keys(OperatorMachine.shape).join(","),
  row: OperatorMachine,
};
