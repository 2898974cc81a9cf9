import type { Runtime } from "../runtime.ts";

/** Crockford's base 32: no vowels that spell words, no letters that look like digits. */
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH = 16;

/**
 * A new `machine_id`, which is also the Fly machine's name: lower-case letters, digits and hyphens.
 * 80 random bits, so that two never meet; the table's unique constraint would refuse it anyway.
 */
export function generateMachineName(runtime: Pick<Runtime, "randomBytes">): string {
  const bytes = runtime.randomBytes(LENGTH);
  return `machine-${Array.from(bytes, (byte) => ALPHABET[byte % ALPHABET.length]).join("")}`;
}
