/**
 * What the surrounding program may or may not offer. Browsers have all of it; Node.js, React Native
 * and workers lack parts, so none of it is taken for granted.
 */

/** The parts of `globalThis` that may be missing. */
interface Host {
  addEventListener?: (type: string, listener: () => void) => void;
  removeEventListener?: (type: string, listener: () => void) => void;
  navigator?: object;
}

const host: Host = globalThis;

/** False only when the browser says that it is offline. */
export function isOnline(): boolean {
  return Reflect.get(host.navigator ?? {}, "onLine") !== false;
}

/** Calls `listener` whenever the browser goes online or offline. @returns how to stop that */
export function onNetworkChange(listener: () => void): () => void {
  const types = ["online", "offline"];
  for (const type of types) host.addEventListener?.(type, listener);
  return () => types.forEach((type) => host.removeEventListener?.(type, listener));
}

/** Calls `listener` when `signal` aborts, soon if it has already. @returns how to stop that */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (signal?.aborted) queueMicrotask(listener);
  signal?.addEventListener("abort", listener);
  return () => signal?.removeEventListener("abort", listener);
}

/** Why a signal aborted; React Native's signals have no reason. */
export function reasonOf(signal: AbortSignal): unknown {
  return signal.reason ?? new Error("Aborted");
}

/**
 * A random identifier of at most 40 letters, digits and hyphens. `crypto.randomUUID` is missing on
 * pages without HTTPS and in React Native; what is needed here is only that two do not meet.
 */
export function randomId(): string {
  const { crypto }: { crypto?: { randomUUID?: () => string } } = globalThis;
  return crypto?.randomUUID?.() ??
    [Date.now(), Math.random(), Math.random()].map((part) => part.toString(36).slice(-10)).join(
      "-",
    );
}
