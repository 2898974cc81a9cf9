/** I7 and I1: what rows said of their machines, and for how long. */
import { overdueAt, type Period, whatIsWrong } from "../invariants/lifecycle.ts";
import { spanOf, type TrueMachine, type Truth } from "./truth.ts";
import type { LifeRequest } from "./callers.ts";
import { acceptedReasons, isReason } from "./stop-reasons.ts";
import type { LifeRow, RowVersion } from "./row-versions.ts";
import type { Violation } from "./observation.ts";

/** Something that a row said wrongly, from one moment to another. */
interface Mistake {
  what: string;
  /** Whether it is the state that is wrong, and not only the reason for it. */
  ofState: boolean;
  row: LifeRow;
  machine: TrueMachine;
  period: Period;
  fromMs: number;
  toMs: number;
}

/** A mistake that reconcile had time to repair. */
export interface OverdueMistake extends Mistake {
  life: number;
  /** When it should have been right. */
  overdueAtMs: number;
}

export function overdueMistakes(truth: Truth): OverdueMistake[] {
  return mistakes(truth).flatMap((mistake) => {
    const { row, machine, period } = mistake;
    const life = truth.lifeOf(row.machine_id);
    if (life === undefined) return [];
    const runs = truth.clearRuns(life, machine.region, period.kind === "gone");
    const closed = row.status === "error" || row.status === "destroyed";
    const since = closed ? cleanUpSince(truth, mistake, life) : mistake.fromMs;
    if (since === null) return [];
    const overdueAtMs = overdueAt(since, machine.lagMs, runs);
    return overdueAtMs !== null && overdueAtMs < mistake.toMs
      ? [{ ...mistake, life, overdueAtMs }]
      : [];
  });
}

export function rowViolations(truth: Truth, overdue: readonly OverdueMistake[]): Violation[] {
  return [
    ...overdue.map(({ life, row, what, fromMs, overdueAtMs, toMs }) => ({
      life,
      text: `I7: ${row.machine_id} ${what}, since ${fromMs}, ${
        toMs === Infinity ? "for good" : `until ${toMs}`
      }, and not later than ${overdueAtMs} was right`,
    })),
    ...openRows(truth),
  ];
}

function mistakes(truth: Truth): Mistake[] {
  const found: Mistake[] = [];
  for (const [, versions] of Map.groupBy(truth.seen.versions, ({ row }) => row.id)) {
    for (const version of versions) {
      const machine = truth.machine(version.row.fly_machine_id);
      if (machine === undefined) continue;
      for (const period of machine.periods) addMistake(truth, found, version, machine, period);
    }
  }
  return found;
}

/** One that goes on is one, however often the row was written meanwhile. */
function addMistake(
  truth: Truth,
  found: Mistake[],
  { row, atMs, untilMs }: RowVersion,
  machine: TrueMachine,
  period: Period,
): void {
  const fromMs = Math.max(atMs, period.fromMs);
  const toMs = Math.min(untilMs, period.toMs);
  if (fromMs >= toMs) return;
  const state = whatIsWrong(row, period.kind);
  const what = state ?? wrongReason(truth, row, machine, period);
  if (what === null) return;
  const last = found.at(-1);
  if (
    last?.row.id === row.id && last.period === period && last.toMs === fromMs && last.what === what
  ) {
    last.toMs = toMs;
    last.row = row;
  } else found.push({ what, ofState: state !== null, row, machine, period, fromMs, toMs });
}

function wrongReason(
  truth: Truth,
  row: LifeRow,
  machine: TrueMachine,
  period: Period,
): string | null {
  if (row.status !== "stopped" || period.kind !== "asleep") return null;
  if (row.destroy_requested_at !== null || row.user_id === null) return null;
  const life = truth.lifeOf(row.machine_id);
  if (life === undefined) return null;
  const rowStoppedAtMs = stoppedSince(truth, row, period);
  const accepted = acceptedReasons(truth, life, machine, { asleep: period, rowStoppedAtMs });
  if (accepted.some((reason) => isReason(row.stop_reason ?? null, reason))) return null;
  return `says stopped because of ${row.stop_reason}, and it was ${accepted.join(" or ")}`;
}

/** Since when the row has said `stopped` without a break, at the end of the period. */
function stoppedSince({ seen }: Truth, { id }: LifeRow, { toMs }: Period): number {
  const versions = seen.versions.filter(({ row, atMs }) => row.id === id && atMs < toMs);
  const awake = versions.findLastIndex(({ row }) => row.status !== "stopped");
  return versions[awake + 1]?.atMs ?? toMs;
}

/**
 * From when on the clean-up of a closed row is due: a machine younger than any request is left alone.
 * Null when a clean-up failed, since the next comes after a growing pause; the end shows it.
 */
function cleanUpSince({ seen }: Truth, { fromMs, toMs, machine }: Mistake, life: number) {
  const troubled = seen.calls.some((call) =>
    call.life === life && (call.fault !== null || call.omitted.includes(life)) &&
    call.sentAtMs >= fromMs - 60_000 && call.sentAtMs <= toMs
  );
  const PROVISION_TIMEOUT_MS = 70_000;
  return troubled
    ? null
    : Math.max(fromMs + PROVISION_TIMEOUT_MS, machine.createdAtMs + PROVISION_TIMEOUT_MS);
}

/** I1: past its deadline, the next run that reaches the database closes a row. */
function openRows(truth: Truth): Violation[] {
  const { seen } = truth;
  const runs = seen.runs.filter((run) =>
    isDone(run.request) &&
    !truth.callsOf(run).some(({ upstream, fault }) => upstream === "database" && fault !== null)
  );
  return seen.versions.filter(({ row }) => row.status === "provisioning").flatMap((version) => {
    const { machine_id, deadline_at } = version.row;
    const run = runs.find(({ request }) => request.atMs > Date.parse(deadline_at));
    const span = run && spanOf(run.request);
    if (!span || version.atMs > span.fromMs || version.untilMs <= span.toMs) return [];
    return [{
      life: truth.lifeOf(machine_id) ?? null,
      text: `I1: ${machine_id} is provisioning after its deadline and run ${run?.number}`,
    }];
  });
}

function isDone({ answer }: LifeRequest): boolean {
  return typeof answer === "object" && answer.status === 200;
}
