import { z } from "zod/v3";

/** What the Postgres function `read_metrics` returns. */
export const MetricsSnapshot = z.object({
  counters: z.array(z.object({
    metric: z.enum(["attempts", "machines", "reconcile_actions", "alerts_sent"]),
    labels: z.record(z.string(), z.string()),
    value: z.number(),
  })),
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
  /** Seconds since the epoch; null when reconcile never ran. */
  reconcile_last_run: z.number().nullable(),
});
export type MetricsSnapshot = z.output<typeof MetricsSnapshot>;
