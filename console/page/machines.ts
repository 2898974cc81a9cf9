/** The signed-in user's machines and their events, as far as this page shows them. */
import * as z from "zod/mini";

const MachineEvent = z.object({
  id: z.number(),
  kind: z.string(),
  error_code: z.nullable(z.string()),
  duration_ms: z.nullable(z.number()),
  created_at: z.string(),
});

const MachineRow = z.object({
  id: z.string(),
  machine_id: z.string(),
  status: z.enum(["provisioning", "running", "stopped", "error", "destroyed"]),
  region: z.string(),
  cpu_priority: z.string(),
  websocket_url: z.nullable(z.string()),
  error_code: z.nullable(z.string()),
  error_message: z.nullable(z.string()),
  stop_reason: z.nullable(z.string()),
  request_id: z.string(),
  created_at: z.string(),
  destroy_requested_at: z.nullable(z.string()),
  machine_events: z.array(MachineEvent),
});

export type MachineRow = z.output<typeof MachineRow>;
export type MachineEvent = z.output<typeof MachineEvent>;
export type MachineStatus = MachineRow["status"];

/** The rows as this page knows them; null if they are of another form. */
export function parseMachines(rows: unknown): MachineRow[] | null {
  return z.array(MachineRow).safeParse(rows).data ?? null;
}
