/** The picture of the metrics: what it reads out of a scrape, and that it is drawn. */
import assert from "node:assert/strict";
import { drawMetrics } from "../../dev/tasks/metrics-picture/draw.ts";
import { parseScrape, quantile } from "../../dev/tasks/metrics-picture/scrape.ts";

/** So many attempts of each kind, and successful ones that took up to 1, 2 and more seconds. */
function scrapeText(succeeded: number, failed: number, buckets: [number, number, number]): string {
  const [one, two, all] = buckets;
  return [
    "# TYPE provision_machine_attempts_total counter",
    `provision_machine_attempts_total{code="",outcome="running",region="iad"} ${succeeded}`,
    `provision_machine_attempts_total{code="fly_rejected",outcome="error",region="iad"} ${failed}`,
    `provision_machine_duration_seconds_bucket{outcome="running",le="1"} ${one}`,
    `provision_machine_duration_seconds_bucket{outcome="running",le="2"} ${two}`,
    `provision_machine_duration_seconds_bucket{outcome="running",le="+Inf"} ${all}`,
    `provision_machine_duration_seconds_bucket{outcome="error",le="+Inf"} ${failed}`,
    `provision_machine_machines{region="iad",status="running"} ${succeeded}`,
    "provision_machine_due_rows 0",
  ].join("\n");
}

Deno.test("quantiles are reckoned between two scrapes, inside the bucket they fall into", () => {
  const earlier = parseScrape(scrapeText(5, 0, [5, 5, 5]), 0);
  const later = parseScrape(scrapeText(15, 2, [5, 15, 15]), 1);
  assert.deepEqual(later.attempts.map(({ total }) => total), [15, 2]);
  assert.deepEqual(later.machines, [{ status: "running", count: 15 }]);
  // All ten took between one and two seconds.
  assert.equal(quantile(0.5, earlier, later), 1.5);
  assert.equal(quantile(0.95, earlier, later), 1.95);
  assert.equal(quantile(0.5, later, later), null);
  const slow = parseScrape(scrapeText(25, 2, [5, 15, 25]), 2);
  assert.equal(quantile(0.5, later, slow), 2, "all that is known of those: longer than two");
});

Deno.test("four charts in one SVG", () => {
  const scrapes = Array.from(
    { length: 10 },
    (_, i) => parseScrape(scrapeText(i, i, [i, i, i]), i),
  );
  const svg = drawMetrics(scrapes, [{ from: 2, to: 4, what: "a fault" }]);
  assert.match(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
  assert.equal(svg.match(/<svg /g)?.length, 5);
  for (const text of ["Failures by code", "fly_rejected", "a fault", "running"]) {
    assert.ok(svg.includes(`>${text}`), text);
  }
  assert.doesNotMatch(svg, /NaN|undefined|<script/);
});
