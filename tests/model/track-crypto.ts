/**
 * Announces the function's WebCrypto operations to the virtual clock: they run on threads of their
 * own, and time must not move before they are done.
 */
import type { VirtualClock } from "../../dev/stack/clock.ts";

/** The operations of WebCrypto that the function uses; each runs on a thread of its own. */
const CRYPTO_OPERATIONS = ["digest", "importKey", "sign", "verify"] as const;

/**
 * Announces every WebCrypto operation to the time of the running schedule, if there is one.
 *
 * @returns takes this back
 */
export function trackCrypto(time: () => VirtualClock | undefined): () => void {
  const { subtle } = crypto;
  for (const operation of CRYPTO_OPERATIONS) {
    const original = subtle[operation].bind(subtle) as (...args: unknown[]) => Promise<unknown>;
    Object.defineProperty(subtle, operation, {
      configurable: true,
      value: (...args: unknown[]) => {
        const work = original(...args);
        return time()?.track(work) ?? work;
      },
    });
  }
  return () => {
    for (const operation of CRYPTO_OPERATIONS) Reflect.deleteProperty(subtle, operation);
  };
}
