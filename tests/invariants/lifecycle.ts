/**
 * I7: the row is true for the machine's whole life. What a row may say of a machine in each of its
 * states, and for how long it may say something else.
 */
import type { MachineState } from "../../dev/stack/fly/mod.ts";

/** The states of a machine, as far as a row can tell them apart. */
export type Kind =
  | "up"
  /** On its way from one to another: either is true. */
  | "settling"
  | "asleep"
  | "failed"
  /** Being destroyed, or destroyed. */
  | "gone";

const KINDS: Record<MachineState, Kind> = {
  created: "settling",
  creating: "settling",
  starting: "settling",
  stopping: "settling",
  suspending: "settling",
  started: "up",
  // Within its restart policy.
  restarting: "up",
  updating: "up",
  replacing: "up",
  stopped: "asleep",
  suspended: "asleep",
  failed: "failed",
  launch_failed: "failed",
  destroying: "gone",
  destroyed: "gone",
  replaced: "gone",
  migrated: "gone",
};

export function kindOf(state: MachineState): Kind {
  return KINDS[state];
}

/** A stretch of time in which a machine stays of one kind; in milliseconds since the epoch. */
export interface Period {
  kind: Kind;
  fromMs: number;
  /** Infinity for the last. */
  toMs: number;
}

/**
 * A machine's history as periods, each of another kind than the one before. One may begin and end in
 * the same millisecond: a caller that waited for it has still seen it.
 */
export function periodsOf(history: readonly { at: number; state: MachineState }[]): Period[] {
  const periods: Period[] = [];
  for (const { at, state } of history) {
    const kind = kindOf(state);
    const last = periods.at(-1);
    if (last?.kind === kind) continue;
    if (last) last.toMs = at;
    periods.push({ kind, fromMs: at, toMs: Infinity });
  }
  return periods;
}

/** What of a row is judged. */
export interface JudgedRow {
  status: string;
  user_id: string | null;
  destroy_requested_at: string | null;
}

/** What the row says wrongly of its machine, as a clause; null when it is right. */
export function whatIsWrong(row: JudgedRow, kind: Kind): string | null {
  // The machine of an owner who is gone, or who wants it gone, is on its way out.
  if (row.destroy_requested_at !== null || row.user_id === null) return null;
  const truth = { up: "running", settling: row.status, asleep: "stopped" }[kind as "up"];
  switch (row.status) {
    case "running":
    case "stopped":
      return truth === row.status ? null : `says ${row.status}, and its machine is ${kind}`;
    case "error":
      return kind === "gone" ? null : `says error, and its machine is ${kind}`;
    case "destroyed":
      return kind === "gone" ? null : `says destroyed, and its machine is ${kind}`;
    default:
      return null;
  }
}

/** A run of reconcile in which nothing kept it from seeing a machine as it is. */
export interface ClearRun {
  fromMs: number;
  toMs: number;
}

const BETWEEN_SIGHTINGS_MS = 60_000;

/**
 * When what a row said wrongly since `sinceMs` has to be right: at the end of the first run that begins
 * a minute after another one ended, so that both can have seen it; null when there was none yet.
 *
 * @param runs In order.
 * @param lagMs How far behind Fly.io's reads are.
 */
export function overdueAt(
  sinceMs: number,
  lagMs: number,
  runs: readonly ClearRun[],
): number | null {
  const first = runs.find(({ fromMs }) => fromMs >= sinceMs + lagMs);
  if (first === undefined) return null;
  const second = runs.find(({ fromMs }) => fromMs >= first.toMs + BETWEEN_SIGHTINGS_MS);
  return second?.toMs ?? null;
}
