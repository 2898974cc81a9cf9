/** What the operator's pages calculate, without a browser. */
import assert from "node:assert/strict";
import { binOutcomes, quantile, SPANS, total } from "../../console/operator/outcomes.ts";
import { percent } from "../../console/operator/percent.ts";
import { parsePrometheus, sumBy } from "../../console/operator/prometheus.ts";
import { startStack } from "../support/stack.ts";

Deno.test("Prometheus' text is read as the function writes it", async () => {
  await using stack = await startStack();
  const user = await stack.supabase.createUser();
  assert.equal((await stack.call(user, { body: { region: "fra" } })).status, 200);
  const answer = await fetch(`${stack.url}/metrics`, {
    headers: { apikey: stack.supabase.secretKey },
  });
  const samples = parsePrometheus(await answer.text());
  const running = sumBy(
    samples,
    "provision_machine_machines",
    "region",
    ({ status }) => status === "running",
  );
  assert.deepEqual([...running], [["fra", 1]]);

  const escaped = parsePrometheus('a{b="x\\"y\\\\z\\n",c="1,2"} 1e3 1700000000\n# c\n\nd +Inf\n');
  assert.deepEqual(escaped, [
    { name: "a", labels: { b: 'x"y\\z\n', c: "1,2" }, value: 1_000 },
    { name: "d", labels: {}, value: Infinity },
  ]);
  assert.throws(() => parsePrometheus("a 1\nnonsense"), /Line 2 .*nonsense/);
});

Deno.test("events fall into the bins of their time", () => {
  const now = Date.parse("2026-11-23T13:32:00Z");
  const event = (kind: string, time: string, duration_ms: number | null = null) => ({
    id: 1,
    kind,
    error_code: null,
    duration_ms,
    request_id: "r",
    created_at: `2026-11-23T${time}Z`,
    cloud_machines: null,
  });
  const [span] = SPANS.filter(({ name }) => name === "1 hour");
  assert.ok(span);
  const bins = binOutcomes(
    [
      event("running", "13:31:00", 400),
      event("running", "13:30:00", 200),
      event("adopted", "13:29:59", 90_000),
      event("failed", "13:26:00", 100),
      event("interrupted", "12:35:00"),
      event("claimed", "13:31:00"),
      event("running", "12:34:59", 5),
    ],
    span,
    now,
  );
  assert.equal(bins.length, 12);
  const counts = bins.map(({ succeeded, failed }) => [succeeded, failed]);
  assert.deepEqual([counts[0], counts[10], counts[11]], [[0, 1], [1, 1], [2, 0]]);
  assert.deepEqual([bins[11]?.medianMs, bins[11]?.p95Ms, bins[10]?.medianMs], [200, 400, null]);
  assert.deepEqual(total(bins), { succeeded: 3, failed: 2, rate: 0.6 });
  assert.equal(quantile([], 0.5), null);
  // Never 100 % while anything failed.
  assert.deepEqual([0.9999, 1, 0, null].map(percent), ["99.9 %", "100 %", "0 %", "–"]);
});
