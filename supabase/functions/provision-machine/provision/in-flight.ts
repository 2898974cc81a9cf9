/** The machines that an isolate is provisioning right now, in case it ends. */
import type { Machines } from "../database/machines.ts";
import { PerIsolate } from "../isolate.ts";
import type { RequestLog } from "../logging/request-log.ts";
import type { Clock } from "../runtime.ts";
import { Deadline } from "../time.ts";

/** The platform leaves an isolate that has to end only moments. */
const HAND_OVER_TIMEOUT_MS = 2_000;
/** A request that finishes after all closes its row first. */
const GRACE_MS = 10_000;
/**
 * The platform says these once, near a limit, and the isolate may live on for minutes: requests that wait
 * for Fly.io use neither. Their rows' own deadlines are soon enough.
 * https://github.com/supabase/edge-runtime, crates/base/src/worker/supervisor
 */
const MAY_LIVE_ON = ["cpu", "memory"];

interface Entry {
  rowId: string;
  machines: Machines;
  log: RequestLog;
}

export class InFlight {
  private readonly entries = new Set<Entry>();

  /** Counts `work` as in flight for as long as it takes. */
  async track<T>(entry: Entry, work: () => Promise<T>): Promise<T> {
    this.entries.add(entry);
    try {
      return await work();
    } finally {
      this.entries.delete(entry);
    }
  }

  /**
   * The isolate is about to end: hands each unfinished row to reconcile, so that it need not wait
   * for the row's deadline. The row's history says so; should the request die, reconcile logs that as an
   * error, and should it end well after all, its log has one outcome. Never throws.
   */
  async handOver(reason: string, clock: Clock): Promise<void> {
    if (MAY_LIVE_ON.includes(reason)) return;
    const deadline = Deadline.after(clock, HAND_OVER_TIMEOUT_MS);
    await Promise.all([...this.entries].map(async (entry) => {
      const { rowId, machines, log } = entry;
      try {
        await machines.handOverToReconcile([rowId], reason, GRACE_MS, deadline);
      } catch (error) {
        // Its request has ended meanwhile, and its log says how the row was left.
        if (!this.entries.has(entry)) return;
        log.errorEvent(
          "The row could not be handed over; reconcile takes it at its deadline",
          error,
        );
      }
    }));
  }
}

export const IN_FLIGHT = new PerIsolate(() => new InFlight());
