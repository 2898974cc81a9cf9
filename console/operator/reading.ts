/** What is known of something that is read again and again. */

export type Reading<T> =
  | { state: "loading" }
  | { state: "current"; value: T; readAt: number }
  /** It was read before and cannot be read now. */
  | { state: "stale"; value: T; readAt: number; error: Error }
  /** It could never be read. */
  | { state: "unknown"; error: Error };

/**
 * The reading after another attempt.
 *
 * @param now when the attempt ended, in milliseconds since the epoch
 */
export function nextReading<T>(before: Reading<T>, result: T | Error, now: number): Reading<T> {
  if (!(result instanceof Error)) return { state: "current", value: result, readAt: now };
  return "value" in before
    ? { state: "stale", value: before.value, readAt: before.readAt, error: result }
    : { state: "unknown", error: result };
}

/** The last value that was read; undefined without any. */
export function lastValue<T>(reading: Reading<T>): T | undefined {
  return "value" in reading ? reading.value : undefined;
}

/** Why the last attempt failed; undefined if it did not. */
export function errorOf(reading: Reading<unknown>): Error | undefined {
  return "error" in reading ? reading.error : undefined;
}
