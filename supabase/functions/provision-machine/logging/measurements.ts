/** How long each phase of a request took and what was called: for its summary and its event. */
import type { Clock } from "../runtime.ts";
import { truncate } from "./log-format.ts";

export type Phase =
  | "auth"
  | "claim"
  | "slot"
  | "create"
  | "wait"
  | "request"
  | "read"
  | "finish"
  | "cleanup";

/** As it is logged and stored. */
export type MeasurementReport = {
  /** Milliseconds by phase. */
  ms: Partial<Record<Phase, number>>;
  /** How often a create was sent. */
  attempts: number;
  /** The region that the machine is in, or was to be in. */
  region?: string;
  failedCalls?: string[];
  flyRequestIds?: (string | null)[];
};

/** A call that failed, as far as the summary names it. */
export interface FailedCall {
  message: string;
  /** Null where there was no answer. */
  flyRequestId: string | null;
}

export class Measurements {
  createAttempts = 0;
  region: string | undefined;
  /** Why Fly.io was called again, newest last. */
  private readonly failures: string[] = [];
  /** In the order of the calls; null where there was no answer. */
  readonly flyRequestIds: (string | null)[] = [];
  private readonly phases: Partial<Record<Phase, number>> = {};

  constructor(private readonly clock: Clock) {}

  /** Runs `work` and adds its milliseconds to `phase`, also if it fails. */
  async time<T>(phase: Phase, work: () => Promise<T>): Promise<T> {
    const startedAt = this.clock.now();
    try {
      return await work();
    } finally {
      const ms = this.clock.now() - startedAt;
      this.phases[phase] = (this.phases[phase] ?? 0) + ms;
    }
  }

  /** Notes a call to Fly.io that failed, and what was done about it. */
  failedCall(call: string, error: FailedCall, next = "giving up"): void {
    this.flyRequestIds.push(error.flyRequestId);
    this.failures.push(truncate(`${call}: ${error.message}, ${next}`, 160));
  }

  /** Everything measured so far, ready to be logged or stored as an event's detail. */
  report(): MeasurementReport {
    return {
      ms: { ...this.phases },
      attempts: this.createAttempts,
      ...(this.region === undefined ? {} : { region: this.region }),
      ...(this.failures.length > 0 ? { failedCalls: this.failures.slice(-6) } : {}),
      ...(this.flyRequestIds.length > 0 ? { flyRequestIds: firstAndLast(this.flyRequestIds) } : {}),
    };
  }
}

/** The first five are those of the create, the last five those of the calls that decided. */
function firstAndLast<T>(all: readonly T[]): T[] {
  return all.length <= 10 ? [...all] : [...all.slice(0, 5), ...all.slice(-5)];
}
