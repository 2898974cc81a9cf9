import type { Runtime } from "../runtime.ts";

const BASE_MS = 500;
const CAP_MS = 8_000;

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
  const ceiling = Math.min(CAP_MS, BASE_MS * 2 ** (attempt - 1));
  return Math.round(Math.max(retryAfterMs, runtime.random() * ceiling));
}
