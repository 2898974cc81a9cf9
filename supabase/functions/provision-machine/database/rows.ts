/** What comes back from the database, parsed. */
import { z } from "zod/v3";

/** A row as the function needs it. */
export const CloudMachine = z.object({
  id: z.string(),
  user_id: z.string().nullable(),
  machine_id: z.string(),
  fly_machine_id: z.string().nullable(),
  fly_app_name: z.string().nullable(),
  region: z.string(),
  cpu_priority: z.enum(["low", "normal", "high"]),
  status: z.enum(["provisioning", "running", "error", "destroyed"]),
  websocket_url: z.string().nullable(),
  error_code: z.string().nullable(),
  error_message: z.string().nullable(),
  deadline_at: z.string(),
  destroy_requested_at: z.string().nullable(),
  reconcile_at: z.string().nullable(),
});
export type CloudMachine = z.output<typeof CloudMachine>;

export const Claim = z.discriminatedUnion("outcome", [
  z.object({ outcome: z.literal("unknown_user") }),
  z.object({
    outcome: z.enum(["replayed", "key_reused", "limit_reached"]),
    machine: CloudMachine,
  }),
  z.object({
    outcome: z.enum(["claimed", "no_slot"]),
    machine: CloudMachine,
    /** Until the row's create may be sent, or until the next slot when there was none for it. */
    wait_ms: z.number(),
  }),
]);
export const CreateSlot = z.object({
  outcome: z.enum(["go", "wait", "closed"]),
  wait_ms: z.number(),
});
export type CreateSlot = z.output<typeof CreateSlot>;
export const Transition = z.discriminatedUnion("outcome", [
  z.object({ outcome: z.literal("not_found") }),
  z.object({ outcome: z.enum(["applied", "conflict"]), machine: CloudMachine }),
]);
export type Claim = z.output<typeof Claim>;
export const DestroyRequest = z.discriminatedUnion("outcome", [
  z.object({ outcome: z.literal("not_found") }),
  z.object({ outcome: z.enum(["applied", "already_destroyed"]), machine: CloudMachine }),
]);
export type DestroyRequest = z.output<typeof DestroyRequest>;
/** `conflict`: the row had been closed otherwise, and `machine` is how. */
export type Transition = z.output<typeof Transition>;
