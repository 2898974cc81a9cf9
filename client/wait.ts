/**
 * Waits `delayMs` before a call is repeated: less if the browser comes online meanwhile, more while it
 * is offline. Rejects with the signal's reason when the signal aborts.
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
      // Only browsers know whether they are offline; elsewhere the delay alone counts.
      const { onLine } = globalThis.navigator as { onLine?: boolean };
      if (onLine !== false) done(resolve);
    }, delayMs);
    globalThis.addEventListener("online", online);
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
  });
}
