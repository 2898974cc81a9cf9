/** Alerts, which Postgres decides upon under a lock and keeps until they are delivered. */
import { z } from "zod/v3";
import type { ErrorCode } from "../errors.ts";
import type { Deadline } from "../time.ts";
import type { DatabaseCaller } from "./caller.ts";

/** A message that was decided upon: a row of the table `alerts`. */
export const Alert = z.object({
  id: z.number(),
  kind: z.enum(["failures", "configuration", "reconcile", "fleet_filling", "fleet_full"]),
  event: z.enum(["firing", "recovered"]),
  content: z.object({
    count: z.number(),
    byCode: z.record(z.string(), z.number()),
    /** Whether there are more of a code than were counted. */
    atLeast: z.boolean().optional(),
    /** The name of a machine: a request's id may have been chosen by a caller. */
    newestMachineId: z.string().nullish(),
    /** Whether these are the newest attempts, all of which failed. */
    streak: z.boolean().optional(),
    windowMinutes: z.number(),
    /** Of machines, where their number is what the alert is about. */
    limit: z.number().nullish(),
  }),
  attempts: z.number(),
});
export type Alert = z.output<typeof Alert>;

/** When failures are too many. */
export interface AlertRule {
  threshold: number;
  windowMs: number;
  cooldownMs: number;
  /** When there are too many machines. */
  maxMachines: number;
}

export class Alerts {
  constructor(private readonly database: DatabaseCaller) {}

  /**
   * Decides which messages have to be sent now; each is leased to this caller for `leaseMs`. Reconcile is
   * not late while a run of it asks (`byReconcile`).
   */
  evaluate(
    rule: AlertRule,
    { leaseMs, byReconcile = false }: { leaseMs: number; byReconcile?: boolean },
    deadline: Deadline,
  ): Promise<Alert[]> {
    return this.database.rpc(
      "evaluate_alerts",
      {
        p_threshold: rule.threshold,
        p_window_ms: Math.round(rule.windowMs),
        p_cooldown_ms: Math.round(rule.cooldownMs),
        p_lease_ms: leaseMs,
        p_by_reconcile: byReconcile,
        p_max_machines: rule.maxMachines,
      },
      z.array(Alert),
      deadline,
    );
  }

  /** Up to `limit` messages that were not delivered before, leased for `leaseMs`. */
  takeDue(limit: number, leaseMs: number, deadline: Deadline): Promise<Alert[]> {
    const args = { p_limit: limit, p_lease_ms: leaseMs };
    return this.database.rpc("take_due_alerts", args, z.array(Alert), deadline);
  }

  async markDelivered(id: number, deadline: Deadline): Promise<void> {
    await this.database.rpc("finish_alert", { p_id: id }, z.unknown(), deadline);
  }

  /** `retryInMs`: null gives the message up. */
  async markFailed(
    id: number,
    failure: { reason: string; retryInMs: number | null },
    deadline: Deadline,
  ): Promise<void> {
    const { reason, retryInMs } = failure;
    await this.database.rpc(
      "finish_alert",
      {
        p_id: id,
        p_error: reason,
        ...(retryInMs === null ? {} : { p_retry_in_ms: retryInMs }),
      },
      z.unknown(),
      deadline,
    );
  }

  /** Counts a failure that has no row, once for each `call`: a caller may use its id again. */
  async recordFailedRequest(
    failure: { call: string; requestId: string; code: ErrorCode; durationMs: number },
    deadline: Deadline,
  ): Promise<void> {
    await this.database.rpc(
      "record_failed_request",
      {
        p_call: failure.call,
        p_request_id: failure.requestId,
        p_error_code: failure.code,
        p_duration_ms: failure.durationMs,
      },
      z.unknown(),
      deadline,
    );
  }
}
