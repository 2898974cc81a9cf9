/**
 * I6: no secret leaves. The search for secrets in everything that came out: as they are, in part, and
 * in every encoding that software puts a string into on its way.
 */
import assert from "node:assert/strict";

/** Long enough not to occur by chance, short enough to find a secret that was cut. */
const PART_CHARACTERS = 12;
/** How many characters of a needle the filter reads, and the size of its table. */
const FILTER_CHARACTERS = 4;
const FILTER_SIZE = 1 << 20;
const encoder = new TextEncoder();

interface Needle {
  text: string;
  name: string;
}

/** Secrets that must not come out of the function. */
export class SecretFinder {
  /** By their first characters: a text is searched once for all of them. */
  readonly #needles = new Map<string, Needle[]>();
  /** Marks how needles begin, so that most places of a text are ruled out quickly. */
  readonly #filter = new Uint8Array(FILTER_SIZE);
  readonly #known = new Set<string>();

  /**
   * Adds a secret under the name that a finding gives. Of a JWT only the signature is secret. Texts
   * shorter than a part occur by chance, so they are ignored.
   */
  add(name: string, secret: string): void {
    if (secret.length < PART_CHARACTERS || this.#known.has(secret)) return;
    this.#known.add(secret);
    const telling = /^[\w-]+\.[\w-]+\.([\w-]+)$/.exec(secret)?.[1] ?? secret;
    const last = Math.max(0, telling.length - PART_CHARACTERS);
    for (let start = 0; start <= last; start++) {
      const part = telling.slice(start, start + PART_CHARACTERS);
      for (const text of new Set(encodings(part.toWellFormed()))) this.#addNeedle({ text, name });
    }
  }

  /** Makes a secret; `wrap` puts it into what is to be kept secret as a whole. */
  plant(name: string, wrap: (canary: string) => string = (canary) => canary): string {
    const random = Array.from(
      crypto.getRandomValues(new Uint8Array(14)),
      (byte) => byte.toString(36).padStart(2, "0"),
    );
    const canary = `canary${random.join("")}`;
    this.add(name, canary);
    return wrap(canary);
  }

  /** Adds every secret of the function's environment. */
  addEnvironment(env: Record<string, string>): void {
    const names = [
      "FLY_API_TOKEN",
      "SUPABASE_SERVICE_ROLE_KEY",
      "ALERT_WEBHOOK_URL",
      "CONNECT_TOKEN_SECRET",
    ];
    for (const name of names) this.add(name, env[name] ?? "");
    for (const name of ["SUPABASE_SECRET_KEYS", "MACHINE_ENV"]) {
      try {
        const values = Object.values(JSON.parse(env[name] ?? "{}"));
        for (const value of values) this.add(name, String(value));
      } catch {
        // Broken on purpose by a test of the environment; then all of it must stay inside.
        this.add(name, env[name] ?? "");
      }
    }
  }

  /** Names of the secrets that are in `text`, each with what stands around the place. */
  findIn(text: string): string[] {
    const found = new Map<string, string>();
    for (let at = 0; at + PART_CHARACTERS <= text.length; at++) {
      if (this.#filter[filterIndex(text, at)] === 0) continue;
      for (const needle of this.#needles.get(text.slice(at, at + PART_CHARACTERS)) ?? []) {
        if (found.has(needle.name) || !text.startsWith(needle.text, at)) continue;
        found.set(needle.name, text.slice(Math.max(0, at - 60), at + 40));
      }
    }
    return [...found].map(([name, place]) => `${name}: …${place}…`);
  }

  /** @throws AssertionError when one of the secrets, or part of one, is in `text` */
  assertAbsent(text: string, where: string): void {
    assert.deepEqual(this.findIn(text), [], `${where} contains a secret`);
  }

  #addNeedle(needle: Needle): void {
    const start = needle.text.slice(0, PART_CHARACTERS);
    const needles = this.#needles.get(start);
    if (needles === undefined) this.#needles.set(start, [needle]);
    else if (needles.every(({ text }) => text !== needle.text)) needles.push(needle);
    this.#filter[filterIndex(start, 0)] = 1;
  }
}

/** Each place that holds a secret, as a violation of I6. */
export function leaks(
  secrets: SecretFinder,
  places: readonly (readonly [where: string, text: string])[],
): string[] {
  return places.flatMap(([where, text]) =>
    secrets.findIn(text).map((finding) => `I6: a secret is in ${where}: ${finding}`)
  );
}

function filterIndex(text: string, at: number): number {
  let hash = 0;
  for (let offset = 0; offset < FILTER_CHARACTERS; offset++) {
    hash = (hash * 31 + text.charCodeAt(at + offset)) % FILTER_SIZE;
  }
  return hash;
}

function encodings(part: string): string[] {
  const bytes = encoder.encode(part);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"));
  const json = JSON.stringify(part).slice(1, -1);
  return [
    part,
    json,
    JSON.stringify(json).slice(1, -1),
    encodeURIComponent(part),
    encodeURIComponent(part).toLowerCase(),
    encodeURIComponent(encodeURIComponent(part)),
    hex.join(""),
    hex.map((pair) => `%${pair}`).join(""),
    ...base64Of(bytes),
  ];
}

/** What the base64 of any text with these bytes in it contains, whatever stands around them. */
function base64Of(bytes: Uint8Array): string[] {
  return [0, 1, 2].flatMap((before) => {
    const padded = new Uint8Array(before + bytes.length);
    padded.set(bytes, before);
    const encoded = btoa(String.fromCharCode(...padded)).replace(/=+$/, "");
    // Characters at either end hold bits of the neighbours too.
    const sure = encoded.slice(before === 0 ? 0 : before + 1, -1);
    return [sure, sure.replaceAll("+", "-").replaceAll("/", "_")];
  });
}
