/** A limit in time for work that may also take none. */
import type { Clock } from "../../clock.ts";

/** @returns what the work resolves with, or `too late` after `ms` milliseconds */
export async function within<T>(
  clock: Clock,
  ms: number,
  work: Promise<T>,
): Promise<T | "too late"> {
  const finished = new AbortController();
  const late = clock.sleep(ms, finished.signal).then(() => "too late" as const, () => null);
  try {
    const first = await Promise.race([work, late]);
    return first ?? await work;
  } finally {
    finished.abort();
    // What comes after the limit has no one to answer to.
    work.catch(() => {});
  }
}
