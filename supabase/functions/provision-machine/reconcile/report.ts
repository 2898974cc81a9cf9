/** What a run of reconcile did, for its answer, its log and its record. */
import type { RequestLog } from "../logging/request-log.ts";

const MAX_ACTIONS_LISTED = 100;
/** Few enough that a run with many actions keeps within the log's budget. */
const ACTIONS_PER_EVENT = 25;

/** No request logged these when they happened: it had died, or there was none. */
const SILENT_FAILURES: Action[] = ["interrupted", "lost"];
const UNSEEN = new Error("their requests were interrupted, or their machines are gone from Fly.io");

export type Action =
  | "adopted"
  | "interrupted"
  | "destroyed"
  | "cleanedUp"
  | "orphansDestroyed"
  | "lost"
  | "found"
  | "suspected"
  | "orphansHeld"
  | "alertsSent"
  | "failed";

export interface ActionTaken {
  action: Action;
  machineId: string | null;
  flyMachineId: string | null;
  reason?: string;
}

export class Report {
  readonly counts: Record<Action, number> = {
    adopted: 0,
    interrupted: 0,
    destroyed: 0,
    cleanedUp: 0,
    orphansDestroyed: 0,
    lost: 0,
    found: 0,
    suspected: 0,
    orphansHeld: 0,
    alertsSent: 0,
    failed: 0,
  };
  readonly actions: ActionTaken[] = [];

  constructor(private readonly requestLog: RequestLog) {}

  add(taken: ActionTaken): void {
    this.counts[taken.action]++;
    if (this.actions.length < MAX_ACTIONS_LISTED) this.actions.push(taken);
  }

  /**
   * Machines without a row that are held back from destruction; `before`: how many were, before this
   * run.
   */
  held(count: number, before: number): void {
    this.counts.orphansHeld += count;
    if (count === 0 || before > 0) return;
    this.requestLog.errorEvent(
      `❌ Reconcile holds back ${count} machines that have no row; an operator has to decide`,
      new Error("was the database restored from a backup? See the runbook"),
      { orphansHeld: count },
    );
  }

  /** A step that failed is counted and logged; the run goes on, and the next run tries again. */
  fail(what: string, error: unknown, ids: Pick<ActionTaken, "machineId" | "flyMachineId">): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.add({ action: "failed", ...ids, reason: `${what}: ${reason}` });
    // The first says what is wrong; the rest are in the counts and in the actions.
    if (this.counts.failed === 1) {
      this.requestLog.errorEvent(`Reconcile: ${what}`, error, { ...ids });
    }
  }

  /** Each action, several per event; machines whose failure no request logged, as errors. */
  log(): void {
    const failures = this.actions.filter(({ action }) => SILENT_FAILURES.includes(action));
    for (const actions of eventsOf(failures)) {
      this.requestLog.errorEvent("❌ Reconcile found machines that failed unseen", UNSEEN, {
        actions,
      });
    }
    const others = this.actions.filter(({ action }) => !SILENT_FAILURES.includes(action));
    for (const actions of eventsOf(others)) {
      this.requestLog.info("Reconcile took action", { actions });
    }
    this.requestLog.info("Reconcile finished", { counts: this.counts });
  }
}

function eventsOf(actions: ActionTaken[]): string[][] {
  const lines = actions.map((taken) =>
    Object.values(taken).filter((value) => value !== null).join(" ")
  );
  return Array.from(
    { length: Math.ceil(lines.length / ACTIONS_PER_EVENT) },
    (_, index) => lines.slice(index * ACTIONS_PER_EVENT, (index + 1) * ACTIONS_PER_EVENT),
  );
}
