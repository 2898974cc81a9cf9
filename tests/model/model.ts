/**
 * The model test: random schedules of calls, crashes and faults, each judged by the invariants I1 to
 * I6 and I9. A schedule that breaks one is shrunk to a small one that still does.
 */
import fc from "fast-check";
import { type Observation, runSchedule } from "./run-schedule.ts";
import { type Schedule, scheduleArbitrary } from "./schedule.ts";
import { violations } from "./violations.ts";
import type { ModelWorld } from "./model-world.ts";

/** After a failure, how many smaller schedules are tried before the smallest so far is reported. */
const MAX_SHRINKS = 250;

/** What the schedules of a run did, to show that they did something. */
export interface Totals {
  schedules: number;
  requests: number;
  upstreamCalls: number;
  crashes: number;
  /** By answer, such as `provision 500 fly_capacity`. */
  answers: Map<string, number>;
  /** Faults that calls met, by kind. */
  faults: Map<string, number>;
  /** What became of the machines that were created, by kind. */
  machineFaults: Map<string, number>;
  /** Rows at the end, by status and error code. */
  rows: Map<string, number>;
}

export class InvariantBroken extends Error {
  override name = "InvariantBroken";
}

/** Runs one schedule. Throws {@link InvariantBroken}, naming every violation. */
export async function checkSchedule(world: ModelWorld, schedule: Schedule): Promise<Observation> {
  const seen = await runSchedule(world, schedule);
  const found = violations(seen, world.secrets);
  if (found.length > 0) throw new InvariantBroken(found.join("\n"));
  return seen;
}

/**
 * Runs `runs` random schedules. Throws {@link InvariantBroken} with the seed, the violations and the
 * shrunk schedule at the first that breaks an invariant.
 */
export async function checkRandomSchedules(
  world: ModelWorld,
  options: {
    seed: number;
    runs: number;
    /** Default true. */
    shrink?: boolean;
    onProgress?: (totals: Totals) => void;
  },
): Promise<Totals> {
  const totals = noTotals();
  const maxShrinks = options.shrink === false ? 0 : MAX_SHRINKS;
  let shrinks: number | undefined;
  const property = fc.asyncProperty(scheduleArbitrary, async (schedule) => {
    if (shrinks !== undefined && ++shrinks > maxShrinks) return;
    try {
      const seen = await checkSchedule(world, schedule);
      if (shrinks !== undefined) return;
      add(totals, seen);
      options.onProgress?.(totals);
    } catch (error) {
      shrinks ??= 0;
      throw error;
    }
  });
  const result = await fc.check(property, { seed: options.seed, numRuns: options.runs });
  if (!result.failed) return totals;
  const [schedule] = result.counterexample ?? [];
  throw new InvariantBroken([
    `schedule ${result.numRuns} of seed ${options.seed}, shrunk ${result.numShrinks} times, breaks:`,
    result.errorInstance instanceof Error
      ? result.errorInstance.message
      : String(result.errorInstance),
    "",
    "Replay it with: deno task test:faults --schedule '<the following line>'",
    JSON.stringify(schedule),
  ].join("\n"));
}

function noTotals(): Totals {
  return {
    schedules: 0,
    requests: 0,
    upstreamCalls: 0,
    crashes: 0,
    answers: new Map(),
    faults: new Map(),
    machineFaults: new Map(),
    rows: new Map(),
  };
}

function add(totals: Totals, seen: Observation): void {
  totals.schedules++;
  totals.requests += seen.requests.length;
  totals.upstreamCalls += seen.calls.length;
  totals.crashes += seen.endedIsolates.length;
  for (const { kind, answer } of seen.requests) {
    const said = typeof answer === "object"
      ? [answer.status, answer.body.code].filter(Boolean).join(" ")
      : "no answer: the isolate ended";
    count(totals.answers, `${kind} ${said}`);
  }
  for (const { fault, upstream } of seen.calls) {
    if (fault.kind === "none") continue;
    const detail = fault.kind === "status"
      ? ` ${fault.status}${fault.effect ? " after its effect" : ""}`
      : "when" in fault
      ? ` ${fault.when}`
      : "";
    count(totals.faults, `${upstream} ${fault.kind}${detail}`);
  }
  for (const { kind } of seen.machineFaults) count(totals.machineFaults, kind);
  for (const { status, error_code } of seen.rows) {
    count(totals.rows, [status, error_code].filter(Boolean).join(" "));
  }
}

function count(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}
