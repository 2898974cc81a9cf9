/** Deadlines, time limits, waiting and back-off, all on the clock that is passed in. */
import type { Clock, Runtime } from "./runtime.ts";

/** The reason with which a call is aborted that exceeded its time limit. */
export class TimeoutError extends Error {
  override name = "TimeoutError";
  constructor(readonly timeoutMs: number) {
    super(`no answer within ${timeoutMs} ms`);
  }
}

/** The point in time at which a budget of milliseconds ends, passed down to each call. */
export class Deadline {
  constructor(private readonly clock: Clock, readonly at: number) {}

  static after(clock: Clock, ms: number): Deadline {
    return new Deadline(clock, clock.now() + ms);
  }

  /** The end of a part that may take `ms` of what is left. */
  within(ms: number): Deadline {
    return new Deadline(this.clock, Math.min(this.at, this.clock.now() + ms));
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

/** Resolves after `ms` milliseconds; rejects with the signal's reason once it is aborted. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = clock.after(ms, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

const BACKOFF = { baseMs: 500, capMs: 8_000 };

/**
 * Milliseconds to wait before attempt `attempt + 1`: exponential with full jitter, and at least
 * what the upstream asked for.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function backoffMs(
  runtime: Pick<Runtime, "random">,
  attempt: number,
  retryAfterMs = 0,
): number {
  const ceiling = Math.min(BACKOFF.capMs, BACKOFF.baseMs * 2 ** (attempt - 1));
  return Math.round(Math.max(retryAfterMs, runtime.random() * ceiling));
}

/** Runs `work` for every item, at most `width` at a time. Rejects with the first failure. */
export async function inParallel<T>(
  width: number,
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const worker = async () => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
}
