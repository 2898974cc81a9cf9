/**
 * The small part of the log that requests share which end before they do anything, so that no
 * number of them takes the room of a failure's lines: the hosted platform drops what exceeds 100
 * events in 10 s. https://supabase.com/docs/guides/functions/logging
 */
import type { Logger } from "@logtape/logtape";
import type { Runtime } from "../runtime.ts";

const WINDOW_MS = 10_000;
/**
 * Events in a window, in an isolate. What failed before its caller was known has a share of its own:
 * anybody can cause refusals, and they must not hide that Supabase Auth is down.
 */
const SHARES = { refused: 20, failed: 30 };

type Kind = keyof typeof SHARES;
/** How many were not logged, by code. */
type Counts = Record<string, number>;

export class RefusalLog {
  private left = { ...SHARES };
  private counts: Record<Kind, Counts> = { refused: {}, failed: {} };
  /** Milliseconds since the epoch. */
  private windowEndsAt = -Infinity;
  private reportIsDue = false;

  constructor(private readonly runtime: Pick<Runtime, "clock" | "waitUntil">) {}

  /**
   * Whether a request may write its `events` events. If not, it is counted under `code`, in the one
   * line that `logger` gets when the window ends.
   */
  admit(kind: Kind, code: string, events: number, logger: Logger): boolean {
    const now = this.runtime.clock.now();
    if (now >= this.windowEndsAt && !this.reportIsDue) {
      this.left = { ...SHARES };
      this.windowEndsAt = now + WINDOW_MS;
    }
    if (events <= this.left[kind]) {
      this.left[kind] -= events;
      return true;
    }
    const counts = this.counts[kind];
    counts[code] = (counts[code] ?? 0) + 1;
    if (!this.reportIsDue) this.reportAtEnd(logger, this.windowEndsAt - now);
    return false;
  }

  /** Only where something was left out: without a flood, no timer keeps the isolate. */
  private reportAtEnd(logger: Logger, inMs: number): void {
    this.reportIsDue = true;
    const { clock, waitUntil } = this.runtime;
    waitUntil(
      new Promise<void>((resolve) => {
        clock.after(inMs, () => {
          this.report(logger);
          this.reportIsDue = false;
          this.windowEndsAt = -Infinity;
          this.counts = { refused: {}, failed: {} };
          resolve();
        });
      }),
    );
  }

  private report(logger: Logger): void {
    const { refused, failed } = this.counts;
    const total = (counts: Counts) => Object.values(counts).reduce((sum, n) => sum + n, 0);
    if (total(refused) + total(failed) === 0) return;
    const message = `provision-machine refused ${total(refused)} more requests in ${
      WINDOW_MS / 1000
    } s, and ${total(failed)} more failed before their caller was known`;
    const fields = { refused, failed, windowMs: WINDOW_MS };
    if (total(failed) > 0) logger.error(message, fields);
    else logger.info(message, fields);
  }
}
