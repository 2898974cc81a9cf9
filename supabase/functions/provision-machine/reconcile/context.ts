/** What the steps of one run of reconcile share. */
import type { Settings } from "../config/environment.ts";
import type { Machines } from "../database/machines.ts";
import type { Ownership } from "../database/ownership.ts";
import type { FlyClient } from "../fly/client.ts";
import type { Runtime } from "../runtime.ts";
import type { Deadline } from "../time.ts";
import type { Report } from "./report.ts";

export interface ReconcileContext {
  runtime: Runtime;
  machines: Machines;
  ownership: Ownership;
  fly: FlyClient;
  settings: Settings;
  /** Part of the name of every machine of this database. */
  tag: string;
  /** What an operator decided about machines without a row, for this run. */
  orphans: OrphanDecision | undefined;
  deadline: Deadline;
  report: Report;
  requestId: string;
  /** When the run began, milliseconds since the epoch. */
  startedAt: number;
}

/** `adopt`: write their rows again, after a restored backup. */
export type OrphanDecision = "destroy" | "adopt";
