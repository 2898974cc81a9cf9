/** Ids, names and addresses in Fly.io's forms. */
import type { Random } from "./random.ts";

const HEX = "0123456789abcdef";
/** Crockford's base 32, the alphabet of a ULID (https://github.com/ulid/spec). */
const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

const ADJECTIVES = ["aged", "bold", "calm", "dark", "icy", "late", "misty", "quiet", "small"];
const NOUNS = ["bird", "cloud", "dew", "field", "leaf", "river", "sun", "thunder", "wind"];

function pick(random: Random, alphabet: string, length: number): string {
  let text = "";
  for (let i = 0; i < length; i++) {
    text += alphabet.charAt(Math.floor(random() * alphabet.length));
  }
  return text;
}

/** A Machine id such as `1857156b526dd8`: 14 hexadecimal digits. */
export function machineId(random: Random): string {
  return pick(random, HEX, 14);
}

/** A ULID, the form of `instance_id` (`01HEPA330HZ37A78TK080NAK1M`) and of event ids. */
export function ulid(nowMs: number, random: Random): string {
  let time = "";
  for (let rest = Math.max(0, Math.floor(nowMs)), i = 0; i < 10; i++) {
    time = CROCKFORD.charAt(rest % 32) + time;
    rest = Math.floor(rest / 32);
  }
  return time + pick(random, CROCKFORD, 16);
}

/**
 * The value of `fly-request-id`: a ULID and the edge region, as in
 * `01JNRQ9VVKJ7HZFMJWJB3M3RYN-yyz` (recorded in github.com/clutterstack/clutterfly).
 */
export function requestId(nowMs: number, random: Random, edgeRegion: string): string {
  return `${ulid(nowMs, random)}-${edgeRegion}`;
}

/** A name for a Machine that was created without one, such as `aged-thunder-7371`. */
export function generatedName(random: Random): string {
  const word = (words: readonly string[]) => words[Math.floor(random() * words.length)] ?? "";
  const number = String(Math.floor(random() * 10_000)).padStart(4, "0");
  return `${word(ADJECTIVES)}-${word(NOUNS)}-${number}`;
}

/** A 6PN address such as `fdaa:0:18:a7b:196:e274:9ce1:2`. */
export function privateIp(random: Random): string {
  const group = () => Math.floor(random() * 0x10000).toString(16);
  return `fdaa:0:${group()}:a7b:${group()}:${group()}:${group()}:2`;
}

/** An app id such as `z4k69dxd8r31p5mx`. */
export function appId(random: Random): string {
  return pick(random, "0123456789abcdefghijklmnopqrstuvwxyz", 16);
}

/** A lease's nonce: 12 hexadecimal digits. */
export function leaseNonce(random: Random): string {
  return pick(random, HEX, 12);
}

/** The text of a macaroon token, without its scheme. */
export function tokenText(random: Random): string {
  return `fm2_${pick(random, "0123456789abcdefghijklmnopqrstuvwxyz", 40)}`;
}
