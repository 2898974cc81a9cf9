/** What the operator's pages calculate, without a browser. */
import assert from "node:assert/strict";
import { EVENTS_PER_PAGE, type EventsQuery } from "../../console/operator/api.ts";
import { checkName } from "../../console/operator/check-names.ts";
import { EventFeed } from "../../console/operator/event-feed.ts";
import {
  binOutcomes,
  failuresByCode,
  quantile,
  SPANS,
  startOf,
  total,
} from "../../console/operator/outcomes.ts";
import { linksOf } from "../../console/operator/addresses.ts";
import { percent } from "../../console/operator/percent.ts";
import { poolFigure } from "../../console/operator/pool-figure.ts";
import { parsePrometheus, sumBy } from "../../console/operator/prometheus.ts";
import { nextReading, type Reading } from "../../console/operator/reading.ts";
import type { MachineEvent } from "../../console/operator/rows.ts";
import { toneOfAge, toneOfRate, toneOfShare } from "../../console/operator/thresholds.ts";
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

Deno.test("failures are counted per code, in the chosen time only", () => {
  const at = (created_at: string, kind: string, error_code: string | null): MachineEvent => ({
    ...event(1, created_at),
    kind,
    error_code,
  });
  const events = [
    at("2026-11-23T13:31:00Z", "failed", "fly_capacity"),
    at("2026-11-23T13:30:00Z", "interrupted", "interrupted"),
    at("2026-11-23T13:29:00Z", "failed", "fly_capacity"),
    at("2026-11-23T13:28:00Z", "destroyed", null),
    at("2026-11-23T12:34:59Z", "failed", "fly_rejected"),
  ];
  const [, hour] = SPANS;
  assert.ok(hour);
  const start = startOf(hour, Date.parse("2026-11-23T13:32:00Z"));
  assert.equal(new Date(start).toISOString(), "2026-11-23T12:35:00.000Z");
  assert.deepEqual([...failuresByCode(events, start)], [["fly_capacity", 2], ["interrupted", 1]]);
});

Deno.test("a reading is loading, current, stale or unknown", () => {
  const loading: Reading<number> = { state: "loading" };
  const down = new Error("down");
  const current = nextReading(loading, 7, 1_000);
  assert.deepEqual(current, { state: "current", value: 7, readAt: 1_000 });
  const stale = nextReading(current, down, 2_000);
  assert.deepEqual(stale, { state: "stale", value: 7, readAt: 1_000, error: down });
  assert.deepEqual(nextReading(stale, down, 3_000), stale);
  assert.equal(nextReading(stale, 8, 4_000).state, "current");
  assert.deepEqual(nextReading(loading, down, 1_000), { state: "unknown", error: down });
});

Deno.test("figures have the thresholds of the Grafana dashboard", () => {
  assert.deepEqual([1, 0.98, 0.94, null].map(toneOfRate), ["good", "warning", "bad", "quiet"]);
  assert.deepEqual([149, 150, 300].map(toneOfAge), ["good", "warning", "bad"]);
  assert.deepEqual([0.79, 0.8, 1].map(toneOfShare), ["good", "warning", "bad"]);
});

Deno.test("links lead to Fly.io and Supabase, and from a local stack nowhere", () => {
  const hosted = linksOf("https://abcdefghijklmnopqrst.supabase.co");
  assert.equal(hosted.machine("app", "e28"), "https://fly.io/apps/app/machines/e28");
  assert.equal(hosted.machine("app", null), null);
  assert.equal(
    hosted.user("u"),
    "https://supabase.com/dashboard/project/abcdefghijklmnopqrst/auth/users?show=u",
  );
  const own = linksOf("https://api.example.com");
  assert.deepEqual([own.machine("a", "b") !== null, own.user("u")], [true, null]);
  for (const url of ["http://127.0.0.1:54321", "http://localhost", "http://box.local:8000"]) {
    assert.equal(linksOf(url).machine("a", "b"), null, url);
  }
});

Deno.test("the warm pool is what the function's metrics say, and nothing without one", () => {
  const samples = (lines: string) => parsePrometheus(lines);
  const wanted = "provision_machine_pool_wanted 4\n";
  const machines = (ready: number) =>
    `provision_machine_pool_machines{state="ready"} ${ready}\n` +
    'provision_machine_pool_machines{state="making"} 1\n';
  const claims = 'provision_machine_pool_claims_total{outcome="hit"} 3\n' +
    'provision_machine_pool_claims_total{outcome="miss"} 1\n';
  assert.equal(poolFigure(samples("provision_machine_pool_wanted 0\n")), null);
  assert.equal(poolFigure([]), null);
  assert.deepEqual(
    poolFigure(samples(wanted + machines(2) + claims)),
    { text: "2", tone: "good", detail: "of 4, 75 % hits" },
  );
  assert.deepEqual(
    poolFigure(samples(wanted + machines(1))),
    { text: "1", tone: "warning", detail: "of 4" },
  );
});

Deno.test("health checks have names, also those that are new", () => {
  assert.deepEqual(
    ["environment:A_B", "fly:my-app", "reconcile:lastRun", "pool:readyMachines", "pool"].map(
      checkName,
    ),
    ["Setting A_B", "Fly.io app my-app", "Last reconcile", "Pool: ready machines", "Pool"],
  );
});

function event(id: number, created_at: string): MachineEvent {
  return {
    id,
    kind: "running",
    error_code: null,
    duration_ms: null,
    request_id: "r",
    created_at,
    cloud_machines: null,
  };
}

/** One event per second since the epoch, read as from PostgREST. */
class Table {
  readonly queries: EventsQuery[] = [];
  rows: MachineEvent[];

  constructor(size: number) {
    this.rows = Array.from({ length: size }, (_, id) => this.#row(id)).reverse();
  }

  grow(by: number): void {
    for (let n = 0; n < by; n++) this.rows.unshift(this.#row(this.rows.length));
  }

  events(query: EventsQuery): Promise<MachineEvent[]> {
    this.queries.push(query);
    const { beforeId = Infinity, from = "" } = query;
    const found = this.rows.filter(({ id, created_at }) => id < beforeId && created_at >= from);
    return Promise.resolve(found.slice(0, EVENTS_PER_PAGE));
  }

  #row(id: number): MachineEvent {
    return event(id, new Date(id * 1_000).toISOString());
  }
}

Deno.test("events are read back as far as needed once, and then only what is new", async () => {
  const table = new Table(4_500);
  const feed = new EventFeed(table);
  const { signal } = new AbortController();
  // The last 1,500 seconds: two pages.
  const first = await feed.read(3_000_000, signal);
  assert.deepEqual([first.complete, first.events.length, table.queries.length], [true, 2_000, 2]);

  table.grow(10);
  const second = await feed.read(3_000_000, signal);
  assert.deepEqual([second.events.length, table.queries.length], [2_010, 3]);
  assert.equal(second.events[0]?.id, 4_509);
  // From two minutes before the newest: an event may appear after one with a later time.
  assert.equal(table.queries.at(-1)?.from, new Date(4_499_000 - 120_000).toISOString());

  const all = await feed.read(0, signal);
  assert.deepEqual([all.complete, all.events.length], [true, 4_510]);
  assert.equal(new Set(all.events.map(({ id }) => id)).size, 4_510);
});

Deno.test("of very many events the newest are kept, and the rest is said to be missing", async () => {
  const table = new Table(12_000);
  const feed = new EventFeed(table);
  const { signal } = new AbortController();
  const read = await feed.read(0, signal);
  assert.deepEqual([read.complete, read.events.length], [false, 10_000]);
  // While the tab slept, more happened than is kept: no gap is left in between.
  table.grow(11_000);
  const later = await feed.read(22_000_000, signal);
  const ids = later.events.map(({ id }) => id);
  assert.deepEqual([ids[0], ids.at(-1)], [22_999, 22_999 - ids.length + 1]);
});
