/** What a run of reconcile did, for its answer, its log and its record. */
import { toAppError, UpstreamError } from "../errors.ts";
import { FlyError } from "../fly/errors.ts";
import type { RequestLog } from "../logging/request-log.ts";

const MAX_ACTIONS_LISTED = 100;
const ACTIONS_PER_EVENT = 25;
/** Events of a kind, so that the busiest run keeps within the log's budget; the rest is counted. */
const MAX_EVENTS = { failuresAlone: 2, failures: 1, unseen: 3, routine: 1 };

/** No request logged these when they happened: it had died, or there was none. */
const SILENT_FAILURES: Action[] = ["interrupted", "lost", "crashed"];
const UNSEEN = new Error(
  "their requests were interrupted, or their machines stopped, failed or are gone from Fly.io",
);

export type Action =
  | "adopted"
  | "interrupted"
  | "destroyed"
  | "cleanedUp"
  | "orphansDestroyed"
  | "lost"
  | "started"
  | "stopped"
  | "crashed"
  | "expired"
  | "found"
  | "pooled"
  | "poolDiscarded"
  | "poolDestroyed"
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
    started: 0,
    stopped: 0,
    crashed: 0,
    expired: 0,
    found: 0,
    pooled: 0,
    poolDiscarded: 0,
    poolDestroyed: 0,
    suspected: 0,
    orphansHeld: 0,
    alertsSent: 0,
    failed: 0,
  };
  private readonly failures: { taken: ActionTaken; code: string; flyRequestId: string | null }[] =
    [];
  private readonly unseen: ActionTaken[] = [];
  private readonly routine: ActionTaken[] = [];

  constructor(private readonly requestLog: RequestLog) {}

  /** What was done, up to a hundred: failures and losses before routine. */
  get actions(): ActionTaken[] {
    const failures = this.failures.map(({ taken }) => taken);
    return [...failures, ...this.unseen, ...this.routine].slice(0, MAX_ACTIONS_LISTED);
  }

  add(taken: ActionTaken): void {
    this.counts[taken.action]++;
    const list = SILENT_FAILURES.includes(taken.action) ? this.unseen : this.routine;
    if (list.length < MAX_ACTIONS_LISTED) list.push(taken);
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

  /** What failed is counted and logged; the run goes on, and the next run tries again. */
  fail(what: string, error: unknown, ids: Pick<ActionTaken, "machineId" | "flyMachineId">): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.counts.failed++;
    if (this.counts.failed <= MAX_EVENTS.failuresAlone) {
      this.requestLog.errorEvent(`Reconcile: ${what}`, error, { ...ids });
    }
    if (this.failures.length >= MAX_ACTIONS_LISTED) return;
    this.failures.push({
      taken: { action: "failed", ...ids, reason: `${what}: ${reason}` },
      code: codeOf(error),
      flyRequestId: error instanceof FlyError ? error.flyRequestId : null,
    });
  }

  /** Each action, several per event; what no request logged, as errors. */
  log(): void {
    this.logFurtherFailures();
    for (const actions of eventsOf(this.unseen).slice(0, MAX_EVENTS.unseen)) {
      this.requestLog.errorEvent("❌ Reconcile found machines that failed unseen", UNSEEN, {
        actions,
      });
    }
    for (const actions of eventsOf(this.routine).slice(0, MAX_EVENTS.routine)) {
      this.requestLog.info("Reconcile took action", { actions });
    }
    this.requestLog.info("Reconcile finished", { counts: this.counts });
  }

  /** Those that have no event of their own: each with its code and Fly.io's request id. */
  private logFurtherFailures(): void {
    const further = this.failures.slice(MAX_EVENTS.failuresAlone);
    if (further.length === 0) return;
    const byCode: Record<string, number> = {};
    for (const { code } of this.failures) byCode[code] = (byCode[code] ?? 0) + 1;
    this.requestLog.errorEvent(
      `❌ Reconcile: ${this.counts.failed - MAX_EVENTS.failuresAlone} more failures`,
      new Error("each of them is tried again by a later run"),
      {
        byCode,
        failures: further.slice(0, ACTIONS_PER_EVENT).map(({ taken, code, flyRequestId }) =>
          [taken.machineId, taken.flyMachineId, code, flyRequestId]
            .filter((value) => value !== null).join(" ")
        ),
      },
    );
  }
}

/** The code that an answer would have. */
function codeOf(error: unknown): string {
  return error instanceof UpstreamError ? error.code : toAppError(error).code;
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
