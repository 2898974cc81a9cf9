/** Pauses between two attempts. */
import { isOnline, onAbort, onNetworkChange, reasonOf } from "./host.ts";

const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 8_000;

/** What happens between two attempts; rejects with the signal's reason when it aborts. */
export type Wait = (delayMs: number, signal: AbortSignal | undefined) => Promise<void>;

/**
 * Waits `delayMs` before a call is repeated: less if the browser comes online meanwhile, more while it
 * is offline. Rejects with the signal's reason when the signal aborts.
 */
export function waitUntilWorthTrying(delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const check = () => {
      if (!signal?.aborted && !isOnline()) return;
      clearTimeout(timer);
      stops.forEach((stop) => stop());
      if (signal?.aborted) reject(reasonOf(signal));
      else resolve();
    };
    const timer = setTimeout(check, delayMs);
    const stops = [onNetworkChange(check), onAbort(signal, check)];
  });
}

/**
 * How long to wait after so many failures in a row: as long as the answer said, or else twice as long
 * each time.
 */
export function backoff(failures: number, retryAfterSeconds: number | null = null): number {
  return (retryAfterSeconds ?? 0) * 1_000 || Math.min(FIRST_DELAY_MS * 2 ** failures, MAX_DELAY_MS);
}
