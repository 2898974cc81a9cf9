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

/**
 * How many requests ended so, by code, on their way to where all isolates' counts are added up. Nothing
 * waits for that and no timer keeps the isolate for it: they are sent when the log's window ends, with a
 * later refusal, or when the isolate ends.
 */
export class RefusalCounts {
  private counts: Counts = {};
  private sending: Promise<void> | null = null;
  /** Milliseconds since the epoch. */
  private sentAt: number;

  /** `send` adds them up; when it rejects they are kept for the next time. */
  constructor(
    private readonly runtime: Pick<Runtime, "clock" | "waitUntil">,
    private readonly send: (counts: Counts) => Promise<void>,
  ) {
    this.sentAt = runtime.clock.now();
  }

  add(code: string): void {
    this.counts[code] = (this.counts[code] ?? 0) + 1;
    if (this.runtime.clock.now() - this.sentAt >= WINDOW_MS) this.runtime.waitUntil(this.flush());
  }

  /** Sends what there is, unless it does so already. Never rejects. */
  flush(): Promise<void> {
    if (Object.keys(this.counts).length === 0) return Promise.resolve();
    return this.sending ??= this.sendNow().finally(() => this.sending = null);
  }

  private async sendNow(): Promise<void> {
    const sent = this.counts;
    this.counts = {};
    this.sentAt = this.runtime.clock.now();
    try {
      await this.send(sent);
    } catch {
      // The line that counts them is in the log. If only the answer was lost, some count twice.
      for (const [code, n] of Object.entries(sent)) {
        this.counts[code] = (this.counts[code] ?? 0) + n;
      }
    }
  }
}

export class RefusalLog {
  private left = { ...SHARES };
  private counts: Record<Kind, Counts> = { refused: {}, failed: {} };
  /** Milliseconds since the epoch. */
  private windowEndsAt = -Infinity;
  private reportIsDue = false;

  constructor(private readonly runtime: Pick<Runtime, "clock" | "waitUntil">) {}

  /**
   * Whether a request may write its `events` events. If not, it is counted under `code`, in the one
   * line that `logger` gets when the window ends, with which `counts` are sent.
   */
  admit(
    kind: Kind,
    code: string,
    events: number,
    outlets: { logger: Logger; counts: RefusalCounts },
  ): boolean {
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
    if (!this.reportIsDue) this.reportAtEnd(outlets, this.windowEndsAt - now);
    return false;
  }

  /** Only where something was left out: without a flood, no timer keeps the isolate. */
  private reportAtEnd(
    { logger, counts }: { logger: Logger; counts: RefusalCounts },
    inMs: number,
  ): void {
    this.reportIsDue = true;
    const { clock, waitUntil } = this.runtime;
    waitUntil(
      new Promise<void>((resolve) => {
        clock.after(inMs, () => {
          this.report(logger);
          this.reportIsDue = false;
          this.windowEndsAt = -Infinity;
          this.counts = { refused: {}, failed: {} };
          resolve(counts.flush());
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
