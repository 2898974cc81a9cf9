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
export async function withTimeout<T>(
  clock: Clock,
  timeoutMs: number,
  work: (signal: AbortSignal) => Promise<T>,
  parent?: AbortSignal,
): Promise<T> {
  const controller = new AbortController();
  const settled = new AbortController();
  const onParentAbort = () => controller.abort(parent?.reason);
  if (parent?.aborted) onParentAbort();
  parent?.addEventListener("abort", onParentAbort, { once: true });

  const timer = clock.sleep(timeoutMs, settled.signal).then(
    () => controller.abort(new TimeoutError(timeoutMs)),
    () => {/* settled first */},
  );
  const aborted = new Promise<never>((_, reject) => {
    if (controller.signal.aborted) reject(controller.signal.reason);
    controller.signal.addEventListener("abort", () => reject(controller.signal.reason), {
      once: true,
    });
  });
  // When `work` wins the race nobody else would look at this rejection.
  aborted.catch(() => {});

  try {
    return await Promise.race([work(controller.signal), aborted]);
  } finally {
    settled.abort();
    parent?.removeEventListener("abort", onParentAbort);
    await timer;
  }
}
