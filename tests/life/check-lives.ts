/** Lives many lives and counts what happened and what was broken. */
import type { ModelWorld } from "../model/model-world.ts";
import { drawBatch, LIVES_PER_BATCH } from "./draw-batch.ts";
import type { Batch } from "./life.ts";
import type { Observation, Violation } from "./observation.ts";
import { runBatch } from "./run-batch.ts";
import { violations } from "./violations.ts";

/** A broken invariant, and where. */
export interface Finding extends Violation {
  batch: Batch;
  /** The text without what differs from one time to another. */
  shape: string;
}

/** What the lives of a run did, to show that they did something. */
export interface Totals {
  lives: number;
  reconciles: number;
  requests: number;
  upstreamCalls: number;
  virtualHours: number;
  isolatesEnded: number;
  /** Events by kind; those at Fly.io that changed nothing apart. */
  events: Map<string, number>;
  /** By answer, such as `stop 409 machine_state_conflict`. */
  answers: Map<string, number>;
  /** Faults that calls met, by kind. */
  faults: Map<string, number>;
  weather: Map<string, number>;
  /** Every change of a row, such as `running → stopped (idle)`. */
  transitions: Map<string, number>;
  findings: Finding[];
}

/** Lives the lives `from` to `from + lives` of a seed; `from` is the first of a batch. */
export async function checkLives(
  world: ModelWorld,
  { seed, lives, from = 0, onProgress }: {
    seed: number;
    lives: number;
    from?: number;
    onProgress?: (totals: Totals) => void;
  },
): Promise<Totals> {
  const totals = noTotals();
  for (let done = 0; done < lives; done += LIVES_PER_BATCH) {
    const size = Math.min(LIVES_PER_BATCH, lives - done);
    const batch = drawBatch(seed, (from + done) / LIVES_PER_BATCH, size);
    const seen = await runBatch(world, batch);
    add(totals, seen);
    totals.findings.push(...findingsOf(world, seen));
    onProgress?.(totals);
  }
  return totals;
}

export function findingsOf(world: ModelWorld, seen: Observation): Finding[] {
  return violations(seen, world.secrets).map((violation) => ({
    ...violation,
    batch: seen.batch,
    shape: shapeOf(violation.text),
  }));
}

function shapeOf(text: string): string {
  return text
    .replace(/[a-z-]+-c0ffee-\w+/g, "NAME")
    .replace(/request-\d+/g, "REQUEST")
    .replace(/run \d+/g, "run N")
    .replace(/\b[0-9a-f]{14}\b/g, "ID")
    .replace(/, since.*| \(at \d+\)/g, "")
    .replace(/\d{6,}/g, "TIME")
    .slice(0, 200);
}

function noTotals(): Totals {
  return {
    lives: 0,
    reconciles: 0,
    requests: 0,
    upstreamCalls: 0,
    virtualHours: 0,
    isolatesEnded: 0,
    events: new Map(),
    answers: new Map(),
    faults: new Map(),
    weather: new Map(),
    transitions: new Map(),
    findings: [],
  };
}

function add(totals: Totals, seen: Observation): void {
  totals.lives += seen.batch.lives.length;
  totals.reconciles += seen.runs.length;
  totals.requests += seen.requests.length;
  totals.upstreamCalls += seen.calls.length;
  totals.virtualHours += seen.virtualMs * seen.batch.lives.length / 3_600_000;
  totals.isolatesEnded += seen.endedIsolates.length;
  for (const { kind } of seen.batch.weather) count(totals.weather, kind);
  for (const event of seen.batch.lives.flatMap(({ events }) => events)) {
    if (["hide", "faults", "delete-user"].includes(event.kind)) count(totals.events, event.kind);
  }
  for (const { what, effect } of seen.deeds) {
    count(totals.events, effect ? what : `${what}, which changed nothing`);
  }
  for (const { kind, answer } of seen.requests) {
    const said = typeof answer === "object"
      ? [answer.status, answer.body.code ?? answer.body.status].filter(Boolean).join(" ")
      : "no answer: the isolate ended";
    count(totals.answers, `${kind} ${said}`);
  }
  for (const { fault, omitted, upstream } of seen.calls) {
    if (fault !== null) count(totals.faults, `${upstream} ${fault}`);
    if (omitted.length > 0) count(totals.faults, `${upstream} does not see a machine`);
  }
  for (const { before, row } of seen.versions) {
    if (before?.status === row.status) continue;
    const why = row.error_code ?? row.stop_reason;
    count(
      totals.transitions,
      `${before?.status ?? "new"} → ${row.status}${why ? ` (${why})` : ""}`,
    );
  }
}

function count(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}
