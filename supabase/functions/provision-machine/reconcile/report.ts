import type { RequestLog } from "../logging/request-log.ts";

const MAX_ACTIONS_TOLD = 100;
/** Few enough that a run with many actions keeps within the log's budget. */
const ACTIONS_PER_EVENT = 25;

export type Action =
  | "adopted"
  | "interrupted"
  | "destroyed"
  | "cleanedUp"
  | "orphansDestroyed"
  | "lost"
  | "alertsSent"
  | "failed";

export interface ActionTaken {
  action: Action;
  machineId: string | null;
  flyMachineId: string | null;
  reason?: string;
}

/** What a run of reconcile did. */
export class Report {
  readonly counts: Record<Action, number> = {
    adopted: 0,
    interrupted: 0,
    destroyed: 0,
    cleanedUp: 0,
    orphansDestroyed: 0,
    lost: 0,
    alertsSent: 0,
    failed: 0,
  };
  readonly actions: ActionTaken[] = [];

  constructor(private readonly requestLog: RequestLog) {}

  add(taken: ActionTaken): void {
    this.counts[taken.action]++;
    if (this.actions.length < MAX_ACTIONS_TOLD) this.actions.push(taken);
  }

  /** A step that failed is counted and logged; the run goes on, and the next run tries again. */
  fail(what: string, error: unknown, ids: Pick<ActionTaken, "machineId" | "flyMachineId">): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.add({ action: "failed", ...ids, reason: `${what}: ${reason}` });
    // The first tells what is wrong; the rest are in the counts and in the actions.
    if (this.counts.failed === 1) {
      this.requestLog.alsoFailed(`Reconcile: ${what}`, error, { ...ids });
    }
  }

  /** Each action, a few to an event. */
  log(): void {
    for (let first = 0; first < this.actions.length; first += ACTIONS_PER_EVENT) {
      this.requestLog.info("Reconcile took action", {
        actions: this.actions.slice(first, first + ACTIONS_PER_EVENT).map((taken) =>
          Object.values(taken).filter((value) => value !== null).join(" ")
        ),
      });
    }
    this.requestLog.info("Reconcile finished", { counts: this.counts });
  }
}
