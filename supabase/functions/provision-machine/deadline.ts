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
    if (parent?.aborted) return reject(parent.reason);
    const call = new AbortController();
    const settle = () => {
      cancelTimer();
      parent?.removeEventListener("abort", onParentAbort);
    };
    const giveUp = (reason: unknown) => {
      settle();
      call.abort(reason);
      reject(reason);
    };
    const onParentAbort = () => giveUp(parent?.reason);
    const cancelTimer = clock.after(timeoutMs, () => giveUp(new TimeoutError(timeoutMs)));
    parent?.addEventListener("abort", onParentAbort, { once: true });
    work(call.signal).then(
      (value) => {
        settle();
        resolve(value);
      },
      (error) => {
        settle();
        reject(error);
      },
    );
  });
}
