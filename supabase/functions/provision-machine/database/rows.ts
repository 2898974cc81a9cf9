/** What comes back from the database, parsed. */
import { z } from "zod/v3";
import { isRowErrorCode, type RowErrorCode } from "../errors.ts";

const common = {
  id: z.string(),
  /** Null once the user was deleted. */
  user_id: z.string().nullable(),
  machine_id: z.string(),
  fly_machine_id: z.string().nullable(),
  fly_app_name: z.string().nullable(),
  /** What the row's create is paced with. */
  create_bucket: z.string().nullable(),
  region: z.string(),
  websocket_url: z.string().nullable(),
  destroy_requested_at: z.string().nullable(),
};
const closed = { error_code: z.null(), error_message: z.null() };

export const ProvisioningMachine = z.object({
  ...common,
  ...closed,
  status: z.literal("provisioning"),
  fly_app_name: z.string(),
});
export type ProvisioningMachine = z.output<typeof ProvisioningMachine>;

export const RunningMachine = z.object({
  ...common,
  ...closed,
  status: z.literal("running"),
  fly_app_name: z.string(),
  fly_machine_id: z.string(),
  websocket_url: z.string(),
  /** When Fly.io first did not know the machine. */
  missing_since: z.string().nullable(),
  /** When Fly.io first called it failed. */
  failed_since: z.string().nullable(),
});
export type RunningMachine = z.output<typeof RunningMachine>;

/**
 * Why a machine is stopped, as `stop_reason` stands in its row. `idle`: by Fly Proxy, because nobody was
 * connected.
 */
export type StopReason =
  | "requested"
  | "idle"
  | "suspended"
  | "out of memory"
  | `exit code ${number}`
  | `signal ${number}`
  | "unknown";
const STOP_REASON = /^(requested|idle|suspended|out of memory|exit code \d+|signal \d+|unknown)$/;

/** It keeps its disk's image, its name and its address, and can be started again. */
export const StoppedMachine = RunningMachine.extend({
  status: z.literal("stopped"),
  stop_reason: z.custom<StopReason>((text) => typeof text === "string" && STOP_REASON.test(text)),
});
export type StoppedMachine = z.output<typeof StoppedMachine>;

/** A machine that was provisioned and is there. */
export const LiveMachine = z.discriminatedUnion("status", [RunningMachine, StoppedMachine]);
export type LiveMachine = z.output<typeof LiveMachine>;

const FailedMachine = z.object({
  ...common,
  status: z.literal("error"),
  error_code: z.custom<RowErrorCode>((code) => typeof code === "string" && isRowErrorCode(code)),
  error_message: z.string(),
});
export type FailedMachine = z.output<typeof FailedMachine>;

const DestroyedMachine = z.object({ ...common, ...closed, status: z.literal("destroyed") });

/** A row of `cloud_machines` as the function needs it; each status guarantees other columns. */
export const CloudMachine = z.discriminatedUnion("status", [
  ProvisioningMachine,
  RunningMachine,
  StoppedMachine,
  FailedMachine,
  DestroyedMachine,
]);
export type CloudMachine = z.output<typeof CloudMachine>;

/** What is found for a user who wants to use it: nothing, for one who is banned. */
export const FoundForUse = z.union([z.object({ banned: z.literal(true) }), CloudMachine])
  .nullable();
export type FoundForUse = z.output<typeof FoundForUse>;

/** What is wrong with reconcile; null when nothing is. */
export const ReconcileProblem = z.enum(["never", "late", "failing"]).nullable();
export type ReconcileProblem = z.output<typeof ReconcileProblem>;

/** A region that takes no machine at the moment. */
export const FullRegion = z.object({ region: z.string(), reason: z.enum(["no room", "refused"]) });
export type FullRegion = z.output<typeof FullRegion>;

export const Claim = z.discriminatedUnion("outcome", [
  z.object({ outcome: z.literal("unknown_user"), banned: z.boolean() }),
  z.object({ outcome: z.enum(["paused", "fleet_full"]) }),
  // In `wait_ms` the user may have another.
  z.object({ outcome: z.literal("too_many_requests"), wait_ms: z.number() }),
  // Null when the user's limit is zero.
  z.object({ outcome: z.literal("limit_reached"), machine: CloudMachine.nullable() }),
  z.object({
    outcome: z.enum(["replayed", "key_reused", "fenced"]),
    machine: CloudMachine,
  }),
  z.object({
    outcome: z.enum(["claimed", "no_slot"]),
    machine: CloudMachine,
    /** Until the row's create may be sent, or until the next slot when there was none for it. */
    wait_ms: z.number(),
    /** Reconcile does not do its work, or few machines are left: an alert may be due. */
    needs_attention: z.boolean().optional(),
    /** The row got a machine of the pool; it is `running` if that was started already. */
    pooled: z.boolean().optional(),
    /** `refused`: for the organisation's quota, or because the region is retired. */
    full_regions: z.array(FullRegion).default([]),
  }),
]);
export type Claim = z.output<typeof Claim>;

export const CreateSlot = z.object({
  outcome: z.enum(["go", "wait", "closed"]),
  wait_ms: z.number(),
});
export type CreateSlot = z.output<typeof CreateSlot>;

const NotFound = z.object({ outcome: z.literal("not_found") });

/** `conflict`: the row had been closed otherwise, and `machine` is how. */
export const Transition = z.discriminatedUnion("outcome", [
  NotFound,
  z.object({ outcome: z.enum(["applied", "conflict"]), machine: CloudMachine }),
]);
export type Transition = z.output<typeof Transition>;

/** `conflict`: the row was closed, is to be destroyed, or has a machine; then it keeps its name. */
export const Renamed = z.discriminatedUnion("outcome", [
  NotFound,
  z.object({ outcome: z.literal("applied"), machine: ProvisioningMachine }),
  z.object({ outcome: z.literal("conflict"), machine: CloudMachine }),
]);
export type Renamed = z.output<typeof Renamed>;

/** `conflict`: as for {@link Transition}. */
export const MarkedRunning = z.discriminatedUnion("outcome", [
  NotFound,
  z.object({ outcome: z.literal("applied"), machine: RunningMachine }),
  z.object({ outcome: z.literal("conflict"), machine: CloudMachine }),
]);
export type MarkedRunning = z.output<typeof MarkedRunning>;

/** `conflict`: the row's state forbids the change. `banned`: the user may not start what they have. */
export const ChangeRequest = z.discriminatedUnion("outcome", [
  NotFound.extend({ banned: z.boolean().default(false) }),
  z.object({ outcome: z.literal("applied"), machine: LiveMachine }),
  z.object({ outcome: z.enum(["conflict", "fenced"]), machine: CloudMachine }),
]);
export type ChangeRequest = z.output<typeof ChangeRequest>;

/** `conflict`: the row was closed, or is to be destroyed. */
export const MarkedChange = z.discriminatedUnion("outcome", [
  NotFound,
  z.object({ outcome: z.literal("applied"), machine: LiveMachine }),
  z.object({ outcome: z.literal("conflict"), machine: CloudMachine }),
]);
export type MarkedChange = z.output<typeof MarkedChange>;

export const ExpiredMachine = z.object({
  machine_id: z.string(),
  fly_machine_id: z.string().nullable(),
});
export type ExpiredMachine = z.output<typeof ExpiredMachine>;

export const DestroyRequest = z.discriminatedUnion("outcome", [
  NotFound,
  z.object({ outcome: z.enum(["applied", "already_destroyed", "fenced"]), machine: CloudMachine }),
]);
export type DestroyRequest = z.output<typeof DestroyRequest>;
