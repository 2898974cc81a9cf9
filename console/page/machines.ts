/** Reads the signed-in user's machines and their events; row level security hides all others. */
import type { SupabaseClient } from "@supabase/supabase-js";
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

const COLUMNS = "id, machine_id, status, region, cpu_priority, websocket_url, error_code, " +
  "error_message, stop_reason, request_id, created_at, destroy_requested_at, " +
  "machine_events (id, kind, error_code, duration_ms, created_at)";
const NEWEST = 8;

/** The newest machines, newest first, each with its events, oldest first. Throws PostgREST's error. */
export async function readMachines(
  supabase: SupabaseClient,
  signal: AbortSignal,
): Promise<MachineRow[]> {
  const { data, error } = await supabase.from("cloud_machines").select(COLUMNS)
    .order("created_at", { ascending: false })
    .order("id", { referencedTable: "machine_events" })
    .limit(NEWEST)
    // The next poll is the retry; the user sees at once that something is wrong.
    .retry(false)
    .abortSignal(signal);
  if (error) throw new Error(error.message, { cause: error });
  return z.array(MachineRow).parse(data);
}
