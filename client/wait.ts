/**
 * Waits for `delayMs`, and while the browser knows that it is offline, until it is not. Rejects with
 * the signal's reason when that aborts.
 */
export function waitUntilWorthTrying(delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (settle: () => void) => {
      clearTimeout(timer);
      globalThis.removeEventListener("online", online);
      signal?.removeEventListener("abort", abort);
      settle();
    };
    const online = () => done(resolve);
    const abort = () => done(() => reject(signal?.reason));
    const timer = setTimeout(() => {
      // Only browsers know; elsewhere the delay is all there is to wait for.
      const { onLine } = globalThis.navigator as { onLine?: boolean };
      if (onLine !== false) done(resolve);
    }, delayMs);
    globalThis.addEventListener("online", online);
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
  });
}
