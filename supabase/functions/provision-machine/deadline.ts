import type { Clock } from "./runtime.ts";

/** The reason with which a call is aborted that took longer than it was given. */
export class TimeoutError extends Error {
  override name = "TimeoutError";
  constructor(readonly timeoutMs: number) {
    super(`no answer within ${timeoutMs} ms`);
  }
}

/** A point in time that one budget of milliseconds ends at, passed down to each call. */
export class Deadline {
  constructor(private readonly clock: Clock, readonly at: number) {}

  static after(clock: Clock, ms: number): Deadline {
    return new Deadline(clock, clock.now() + ms);
  }

  /** Milliseconds left, never negative. */
  remainingMs(): number {
    return Math.max(0, this.at - this.clock.now());
  }

  passed(): boolean {
    return this.remainingMs() === 0;
  }
}

/** With a reason of its own an abort does not make a DOMException and its stack: this happens at every call. */
export const SETTLED = "settled";

/**
 * Runs `work` with a signal that is aborted after `timeoutMs` or with `parent`. Rejects with
 * {@link TimeoutError} when time runs out, even if `work` ignores its signal.
 */
export function withTimeout<T>(
  clock: Clock,
  timeoutMs: number,
  work: (signal: AbortSignal) => Promise<T>,
  parent?: AbortSignal,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const call = new AbortController();
    const timer = new AbortController();
    const settle = () => {
      timer.abort(SETTLED);
      parent?.removeEventListener("abort", onParentAbort);
    };
    const giveUp = (reason: unknown) => {
      settle();
      call.abort(reason);
      reject(reason);
    };
    const onParentAbort = () => giveUp(parent?.reason);
    if (parent?.aborted) return onParentAbort();

    work(call.signal).finally(settle).then(resolve, reject);
    parent?.addEventListener("abort", onParentAbort, { once: true });
    clock.sleep(timeoutMs, timer.signal).then(
      () => giveUp(new TimeoutError(timeoutMs)),
      () => {/* settled first */},
    );
  });
}
