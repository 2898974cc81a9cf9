/** Prometheus' text format. https://prometheus.io/docs/instrumenting/exposition_formats/ */
import type { MetricsSnapshot } from "../database/observations.ts";
import { CALLER_CODES } from "../errors.ts";

type Type = "counter" | "gauge" | "histogram";
type Sample = { suffix?: string; labels?: Record<string, string>; value: number };

/**
 * Series that are there from the beginning: Prometheus does not see the first increase of a counter
 * that appears with it. https://prometheus.io/docs/practices/instrumentation/#avoid-missing-metrics
 */
const OUTCOMES = ["running", "error"];
const ALERT_KINDS = ["failures", "configuration", "reconcile", "fleet_filling", "fleet_full"];
const ALERTS_SENT = ALERT_KINDS.flatMap((kind) =>
  ["firing", "recovered"].map((event) => ({ kind, event }))
);
/** `internal_error`: Supabase Auth did not answer. The last two have no code: they were answered. */
const REFUSED = [...Object.keys(CALLER_CODES), "internal_error", "preflight", "anonymous"];

/** `maxMachines`: MAX_MACHINES; undefined when it does not parse. `poolSize`: POOL_SIZE. */
export function renderMetrics(
  snapshot: MetricsSnapshot,
  { maxMachines, poolSize }: { maxMachines: number | undefined; poolSize: number },
): string {
  const counters = (metric: string): Sample[] =>
    snapshot.counters.filter((counter) => counter.metric === metric);
  const alertsSent = counters("alerts_sent");
  const never = ALERTS_SENT.filter(({ kind, event }) =>
    !alertsSent.some(({ labels }) => labels?.["kind"] === kind && labels["event"] === event)
  );
  const claims = counters("pool_claims");
  const neverClaimed = ["hit", "miss"].filter((outcome) =>
    !claims.some(({ labels }) => labels?.["outcome"] === outcome)
  );
  const noBuckets = [...snapshot.duration_bounds_ms, Infinity].map(() => 0);
  const durations = [
    ...snapshot.durations,
    ...OUTCOMES.filter((outcome) => !snapshot.durations.some((d) => d.outcome === outcome))
      .map((outcome) => ({ outcome, buckets: noBuckets, sum_ms: 0 })),
  ];
  return [
    family(
      "attempts_total",
      "counter",
      "Finished attempts to provision a machine.",
      counters("attempts"),
    ),
    family(
      "refused_total",
      "counter",
      "Requests that ended before they did anything, as isolates have reported them.",
      [...new Set([...REFUSED, ...Object.keys(snapshot.refused)])].map((code) => ({
        labels: { code },
        value: snapshot.refused[code] ?? 0,
      })),
    ),
    family(
      "duration_seconds",
      "histogram",
      "How long provisioning took, from the request to its outcome.",
      durations.flatMap((duration) => histogram(duration, snapshot.duration_bounds_ms)),
    ),
    family("machines", "gauge", "Rows of cloud_machines.", counters("machines")),
    family(
      "max_machines",
      "gauge",
      "How many machines may be live at once: MAX_MACHINES.",
      maxMachines === undefined ? [] : [{ value: maxMachines }],
    ),
    family(
      "oldest_provisioning_seconds",
      "gauge",
      "Age of the oldest row that is provisioning; 0 without one.",
      [
        { value: snapshot.oldest_provisioning_seconds },
      ],
    ),
    family("due_rows", "gauge", "Rows that wait for reconcile now.", [{
      value: snapshot.due_rows,
    }]),
    family(
      "oldest_cleanup_seconds",
      "gauge",
      "How long the oldest closed row has waited for its machine to be confirmed gone; 0 without one.",
      [{ value: snapshot.oldest_cleanup_seconds }],
    ),
    family("pool_wanted", "gauge", "Machines that the warm pool is to have: POOL_SIZE.", [
      { value: poolSize },
    ]),
    family(
      "pool_machines",
      "gauge",
      "Machines of the warm pool: ready, making, or discarded and not destroyed yet.",
      ["ready", "making", "discarded"].map((state) => ({
        labels: { state },
        value: snapshot.pool_entries[state] ?? 0,
      })),
    ),
    family(
      "pool_claims_total",
      "counter",
      "Claims that the warm pool could serve: hit, or miss when it had no machine ready.",
      [...claims, ...neverClaimed.map((outcome) => ({ labels: { outcome }, value: 0 }))],
    ),
    family("waiting_creates", "gauge", "Creates that wait for their slot at Fly.io.", [
      { value: snapshot.waiting_creates },
    ]),
    family(
      "reconcile_actions_total",
      "counter",
      "What reconcile has done.",
      counters("reconcile_actions"),
    ),
    family(
      "reconcile_last_run_timestamp_seconds",
      "gauge",
      "When reconcile last finished; 0 if never.",
      [
        { value: snapshot.reconcile_last_run ?? 0 },
      ],
    ),
    family(
      "alerts_sent_total",
      "counter",
      "Alert and recovery messages that were delivered.",
      [...alertsSent, ...never.map((labels) => ({ labels, value: 0 }))],
    ),
  ].join("");
}

function family(name: string, type: Type, help: string, samples: Sample[]): string {
  const full = `provision_machine_${name}`;
  const lines = samples.map(({ suffix = "", labels = {}, value }) =>
    `${full}${suffix}${renderLabels(labels)} ${value}\n`
  );
  return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${lines.join("")}`;
}

function histogram(
  { outcome, buckets, sum_ms }: MetricsSnapshot["durations"][number],
  boundsMs: number[],
): Sample[] {
  let count = 0;
  const cumulative = buckets.map((n, index): Sample => {
    count += n;
    const bound = boundsMs[index];
    const le = bound === undefined ? "+Inf" : String(bound / 1_000);
    return { suffix: "_bucket", labels: { outcome, le }, value: count };
  });
  return [
    ...cumulative,
    { suffix: "_sum", labels: { outcome }, value: sum_ms / 1_000 },
    { suffix: "_count", labels: { outcome }, value: count },
  ];
}

function renderLabels(labels: Record<string, string>): string {
  const pairs = Object.entries(labels).map(([name, value]) => {
    const escaped = value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
    return `${name}="${escaped}"`;
  });
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}
