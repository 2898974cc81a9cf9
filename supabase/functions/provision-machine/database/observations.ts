/** What operators see: health, metrics and the runs of reconcile. */
import { z } from "zod/v3";
import type { Deadline } from "../time.ts";
import type { DatabaseCaller } from "./caller.ts";
import { ReconcileProblem } from "./rows.ts";

/** The newest migration that this code was written for. */
export const EXPECTED_SCHEMA_VERSION = "20261129001320";

/** What the database knows of the system's health. */
export const DatabaseHealth = z.object({
  schema_version: z.string(),
  /** Seconds since the last run; null when reconcile never ran. */
  reconcile_age_seconds: z.number().nullable(),
  reconcile_problem: ReconcileProblem,
  /** Rows that reconcile should have closed. */
  overdue_rows: z.number(),
  undelivered_alerts: z.number(),
  /** Machines of the pool that a claim can take. */
  pool_ready: z.number(),
  /** Machines without a row that wait for an operator's decision. */
  orphans_held: z.number(),
  /** The project that the database belongs to, once it is known. */
  project_host: z.string().nullable(),
});
export type DatabaseHealth = z.output<typeof DatabaseHealth>;

/** Everything that `GET /metrics` shows. */
export const MetricsSnapshot = z.object({
  counters: z.array(z.object({
    metric: z.enum(["attempts", "machines", "reconcile_actions", "alerts_sent", "pool_claims"]),
    labels: z.record(z.string(), z.string()),
    value: z.number(),
  })),
  /** Requests, by code. */
  refused: z.record(z.string(), z.number()),
  durations: z.array(z.object({
    outcome: z.string(),
    /** One more than there are bounds: the last is everything longer. */
    buckets: z.array(z.number()),
    sum_ms: z.number(),
  })),
  duration_bounds_ms: z.array(z.number()),
  oldest_provisioning_seconds: z.number(),
  due_rows: z.number(),
  oldest_cleanup_seconds: z.number(),
  waiting_creates: z.number(),
  /** Entries of the pool by state. */
  pool_entries: z.record(z.string(), z.number()),
  /** Seconds since the epoch; null when reconcile never ran. */
  reconcile_last_run: z.number().nullable(),
});
export type MetricsSnapshot = z.output<typeof MetricsSnapshot>;

export class Observations {
  constructor(private readonly database: DatabaseCaller) {}

  readHealth(deadline: Deadline): Promise<DatabaseHealth> {
    return this.database.rpc("read_health", {}, DatabaseHealth, deadline);
  }

  readMetrics(deadline: Deadline): Promise<MetricsSnapshot> {
    return this.database.rpc("read_metrics", {}, MetricsSnapshot, deadline);
  }

  /** Adds to the refused requests; not to be repeated when its answer is lost. */
  async countRefused(counts: Record<string, number>, deadline: Deadline): Promise<void> {
    await this.database.rpc("count_refused", { p_counts: counts }, z.unknown(), deadline, {
      attempts: 1,
    });
  }

  /** What Fly.io says of the room in its regions; it is believed for `forMs`. */
  async noteRegions(
    { full, withRoom }: { full: string[]; withRoom: string[] },
    forMs: number,
    deadline: Deadline,
  ): Promise<void> {
    const args = { p_full: full, p_with_room: withRoom, p_for_ms: forMs };
    await this.database.rpc("note_regions", args, z.unknown(), deadline);
  }

  async recordReconcileRun(
    run: { requestId: string; durationMs: number; counts: Record<string, number> },
    deadline: Deadline,
  ): Promise<void> {
    await this.database.rpc(
      "record_reconcile_run",
      {
        p_request_id: run.requestId,
        p_duration_ms: run.durationMs,
        p_counts: run.counts,
      },
      z.unknown(),
      deadline,
    );
  }
}
