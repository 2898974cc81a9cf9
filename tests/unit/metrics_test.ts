/** Metrics: the database's snapshot in Prometheus' text format. */
import assert from "node:assert/strict";
import { renderMetrics } from "../../supabase/functions/provision-machine/metrics/render.ts";

type Snapshot = Parameters<typeof renderMetrics>[0];

const EMPTY: Snapshot = {
  counters: [],
  refused: {},
  durations: [],
  duration_bounds_ms: [500, 1_000],
  oldest_provisioning_seconds: 0,
  due_rows: 0,
  oldest_cleanup_seconds: 0,
  waiting_creates: 0,
  pool_entries: {},
  reconcile_last_run: null,
};

/** The samples of one metric, without HELP and TYPE. */
function samplesOf(snapshot: Partial<Snapshot>, name: string): string[] {
  return renderMetrics({ ...EMPTY, ...snapshot }, { maxMachines: 100, poolSize: 0 }).split("\n")
    .filter((line) => new RegExp(`^provision_machine_${name}(_bucket|_sum|_count)?[{ ]`).test(line))
    .map((line) => line.slice("provision_machine_".length));
}

Deno.test("metrics: an empty database has every family, and series that can be alerted on", () => {
  assert.equal(
    renderMetrics(EMPTY, { maxMachines: 100, poolSize: 0 }),
    `\
# HELP provision_machine_attempts_total Finished attempts to provision a machine.
# TYPE provision_machine_attempts_total counter
# HELP provision_machine_refused_total Requests that ended before they did anything, as isolates have reported them.
# TYPE provision_machine_refused_total counter
provision_machine_refused_total{code="invalid_request"} 0
provision_machine_refused_total{code="unauthorized"} 0
provision_machine_refused_total{code="forbidden"} 0
provision_machine_refused_total{code="not_found"} 0
provision_machine_refused_total{code="method_not_allowed"} 0
provision_machine_refused_total{code="machine_limit_reached"} 0
provision_machine_refused_total{code="machine_state_conflict"} 0
provision_machine_refused_total{code="payload_too_large"} 0
provision_machine_refused_total{code="unsupported_media_type"} 0
provision_machine_refused_total{code="idempotency_key_reused"} 0
provision_machine_refused_total{code="too_many_requests"} 0
provision_machine_refused_total{code="fleet_full"} 0
provision_machine_refused_total{code="provisioning_paused"} 0
provision_machine_refused_total{code="internal_error"} 0
provision_machine_refused_total{code="preflight"} 0
provision_machine_refused_total{code="anonymous"} 0
# HELP provision_machine_duration_seconds How long provisioning took, from the request to its outcome.
# TYPE provision_machine_duration_seconds histogram
provision_machine_duration_seconds_bucket{outcome="running",le="0.5"} 0
provision_machine_duration_seconds_bucket{outcome="running",le="1"} 0
provision_machine_duration_seconds_bucket{outcome="running",le="+Inf"} 0
provision_machine_duration_seconds_sum{outcome="running"} 0
provision_machine_duration_seconds_count{outcome="running"} 0
provision_machine_duration_seconds_bucket{outcome="error",le="0.5"} 0
provision_machine_duration_seconds_bucket{outcome="error",le="1"} 0
provision_machine_duration_seconds_bucket{outcome="error",le="+Inf"} 0
provision_machine_duration_seconds_sum{outcome="error"} 0
provision_machine_duration_seconds_count{outcome="error"} 0
# HELP provision_machine_machines Rows of cloud_machines.
# TYPE provision_machine_machines gauge
# HELP provision_machine_max_machines How many machines may be live at once: MAX_MACHINES.
# TYPE provision_machine_max_machines gauge
provision_machine_max_machines 100
# HELP provision_machine_oldest_provisioning_seconds Age of the oldest row that is provisioning; 0 without one.
# TYPE provision_machine_oldest_provisioning_seconds gauge
provision_machine_oldest_provisioning_seconds 0
# HELP provision_machine_due_rows Rows that wait for reconcile now.
# TYPE provision_machine_due_rows gauge
provision_machine_due_rows 0
# HELP provision_machine_oldest_cleanup_seconds How long the oldest closed row has waited for its machine to be confirmed gone; 0 without one.
# TYPE provision_machine_oldest_cleanup_seconds gauge
provision_machine_oldest_cleanup_seconds 0
# HELP provision_machine_pool_wanted Machines that the warm pool is to have: POOL_SIZE.
# TYPE provision_machine_pool_wanted gauge
provision_machine_pool_wanted 0
# HELP provision_machine_pool_machines Machines of the warm pool: ready, making, or discarded and not destroyed yet.
# TYPE provision_machine_pool_machines gauge
provision_machine_pool_machines{state="ready"} 0
provision_machine_pool_machines{state="making"} 0
provision_machine_pool_machines{state="discarded"} 0
# HELP provision_machine_pool_claims_total Claims that the warm pool could serve: hit, or miss when it had no machine ready.
# TYPE provision_machine_pool_claims_total counter
provision_machine_pool_claims_total{outcome="hit"} 0
provision_machine_pool_claims_total{outcome="miss"} 0
# HELP provision_machine_waiting_creates Creates that wait for their slot at Fly.io.
# TYPE provision_machine_waiting_creates gauge
provision_machine_waiting_creates 0
# HELP provision_machine_reconcile_actions_total What reconcile has done.
# TYPE provision_machine_reconcile_actions_total counter
# HELP provision_machine_reconcile_last_run_timestamp_seconds When reconcile last finished; 0 if never.
# TYPE provision_machine_reconcile_last_run_timestamp_seconds gauge
provision_machine_reconcile_last_run_timestamp_seconds 0
# HELP provision_machine_alerts_sent_total Alert and recovery messages that were delivered.
# TYPE provision_machine_alerts_sent_total counter
provision_machine_alerts_sent_total{kind="failures",event="firing"} 0
provision_machine_alerts_sent_total{kind="failures",event="recovered"} 0
provision_machine_alerts_sent_total{kind="configuration",event="firing"} 0
provision_machine_alerts_sent_total{kind="configuration",event="recovered"} 0
provision_machine_alerts_sent_total{kind="reconcile",event="firing"} 0
provision_machine_alerts_sent_total{kind="reconcile",event="recovered"} 0
provision_machine_alerts_sent_total{kind="fleet_filling",event="firing"} 0
provision_machine_alerts_sent_total{kind="fleet_filling",event="recovered"} 0
provision_machine_alerts_sent_total{kind="fleet_full",event="firing"} 0
provision_machine_alerts_sent_total{kind="fleet_full",event="recovered"} 0
`,
  );
});

Deno.test("metrics: buckets add up, and an outcome that has happened is not repeated as zero", () => {
  const durations = [{ outcome: "running", buckets: [2, 0, 3], sum_ms: 12_345 }];
  assert.deepEqual(samplesOf({ durations }, "duration_seconds").slice(0, 5), [
    'duration_seconds_bucket{outcome="running",le="0.5"} 2',
    'duration_seconds_bucket{outcome="running",le="1"} 2',
    'duration_seconds_bucket{outcome="running",le="+Inf"} 5',
    'duration_seconds_sum{outcome="running"} 12.345',
    'duration_seconds_count{outcome="running"} 5',
  ]);
  const counts = samplesOf({ durations }, "duration_seconds")
    .filter((line) => line.startsWith("duration_seconds_count"));
  assert.deepEqual(counts, [
    'duration_seconds_count{outcome="running"} 5',
    'duration_seconds_count{outcome="error"} 0',
  ]);
});

Deno.test("metrics: each counter stands in its own family", () => {
  const counters: Snapshot["counters"] = [
    { metric: "attempts", labels: { outcome: "error", code: "fly_capacity" }, value: 2 },
    { metric: "machines", labels: { status: "running", region: "iad" }, value: 7 },
    { metric: "reconcile_actions", labels: { action: "adopted" }, value: 1 },
    { metric: "alerts_sent", labels: { kind: "failures", event: "firing" }, value: 4 },
  ];
  assert.deepEqual(samplesOf({ counters }, "attempts_total"), [
    'attempts_total{outcome="error",code="fly_capacity"} 2',
  ]);
  assert.deepEqual(samplesOf({ counters }, "machines"), [
    'machines{status="running",region="iad"} 7',
  ]);
  assert.deepEqual(samplesOf({ counters }, "reconcile_actions_total"), [
    'reconcile_actions_total{action="adopted"} 1',
  ]);
  assert.deepEqual(samplesOf({ counters }, "alerts_sent_total"), [
    'alerts_sent_total{kind="failures",event="firing"} 4',
    'alerts_sent_total{kind="failures",event="recovered"} 0',
    'alerts_sent_total{kind="configuration",event="firing"} 0',
    'alerts_sent_total{kind="configuration",event="recovered"} 0',
    'alerts_sent_total{kind="reconcile",event="firing"} 0',
    'alerts_sent_total{kind="reconcile",event="recovered"} 0',
    'alerts_sent_total{kind="fleet_filling",event="firing"} 0',
    'alerts_sent_total{kind="fleet_filling",event="recovered"} 0',
    'alerts_sent_total{kind="fleet_full",event="firing"} 0',
    'alerts_sent_total{kind="fleet_full",event="recovered"} 0',
  ]);
});

Deno.test("metrics: a limit that does not parse is missing, not zero", () => {
  assert.doesNotMatch(
    renderMetrics(EMPTY, { maxMachines: undefined, poolSize: 0 }),
    /^provision_machine_max_machines /m,
  );
});

Deno.test("metrics: each gauge shows its own number", () => {
  const snapshot = {
    oldest_provisioning_seconds: 1.5,
    due_rows: 2,
    oldest_cleanup_seconds: 3,
    waiting_creates: 4,
    reconcile_last_run: 1_793_000_000.25,
  };
  const gauges = {
    oldest_provisioning_seconds: 1.5,
    due_rows: 2,
    oldest_cleanup_seconds: 3,
    waiting_creates: 4,
    reconcile_last_run_timestamp_seconds: 1_793_000_000.25,
  };
  for (const [name, value] of Object.entries(gauges)) {
    assert.deepEqual(samplesOf(snapshot, name), [`${name} ${value}`]);
  }
});

Deno.test("metrics: labels are escaped as Prometheus reads them", () => {
  const counters: Snapshot["counters"] = [
    { metric: "attempts", labels: { code: 'a"b\\c\nd' }, value: 1 },
  ];
  assert.deepEqual(samplesOf({ counters }, "attempts_total"), [
    'attempts_total{code="a\\"b\\\\c\\nd"} 1',
  ]);
});
