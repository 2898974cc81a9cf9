/**
 * Announces the WebCrypto operations with which supabase-js verifies a token to the virtual clock:
 * they run on threads of their own, and time must not move before they are done.
 */
import type { VirtualClock } from "../../dev/stack/clock.ts";

const CRYPTO_OPERATIONS = ["importKey", "verify"] as const;

/**
 * Announces these operations to the clock of the running schedule, if there is one.
 *
 * @returns undoes this
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
