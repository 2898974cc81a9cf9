/**
 * Replaces every known secret in a text, however it got there: an upstream error that echoes a
 * header, a URL, a stack. Used for log lines, responses, rows, events and alerts alike.
 *
 * Callers' tokens come and go with every request, many at a time, so nothing is compiled from them.
 * They share a few prefixes that ordinary text does not contain: most texts cost no more than the
 * search for those.
 */

export const REDACTED = "[REDACTED]";
/** Shorter values occur by chance in ordinary text; replacing them would garble it. */
const SHORTEST_SECRET = 6;
/** Length of the prefix that is searched first. */
const PREFIX = 8;
/**
 * The key that a machine has of its own: there are too many to know, so it is found by its name, in
 * JSON (escaped or not) and in the form NAME=value.
 */
const NAMED_SECRET = /(\bCONNECT_KEY\\*["']?\s*[:=]\s*\\*["']?)[\w-]+/g;
const SECRET_NAME = "CONNECT_KEY";
/** Characters that neither URLs nor JSON encode. */
const PLAIN = /^[\w.~-]+$/;

export class Redactor {
  /**
   * Secrets by the prefixes of their forms, each with the number of holders, so that overlapping
   * requests do not undo each other.
   */
  private readonly holders = new Map<string, Map<string, number>>();
  /** The forms of the secrets that were looked for, which cost more than looking for them. */
  private readonly forms = new Map<string, string[]>();
  /** Length of the shortest secret; no form is shorter, so a shorter text contains none. */
  private shortest = Infinity;

  /**
   * Redacts `secrets` from now on, also in their base64, URL-encoded and JSON-escaped forms.
   * Returns a function that lets go of them.
   */
  protect(secrets: Iterable<string>): () => void {
    const held = [...secrets].filter((secret) => secret.length >= SHORTEST_SECRET)
      .map((secret) => ({ secret, prefixes: prefixesOf(secret) }));
    for (const { secret, prefixes } of held) this.hold(secret, prefixes, 1);
    return () => {
      for (const { secret, prefixes } of held.splice(0)) this.hold(secret, prefixes, -1);
    };
  }

  /** `text` with every protected secret replaced by {@link REDACTED}. */
  redact(text: string): string {
    if (text.includes(SECRET_NAME)) text = text.replace(NAMED_SECRET, `$1${REDACTED}`);
    if (text.length < this.shortest) return text;
    const suspects = new Set<string>();
    for (const [prefix, secrets] of this.holders) {
      if (!text.includes(prefix)) continue;
      for (const secret of secrets.keys()) {
        if (secret.length <= text.length) suspects.add(secret);
      }
    }
    if (suspects.size === 0) return text;
    const found = [...suspects].flatMap((secret) => this.formsOf(secret)).filter((form) =>
      text.includes(form)
    );
    // Longest first, so that a secret that contains another is replaced whole.
    found.sort((a, b) => b.length - a.length);
    return found.reduce((redacted, form) => redacted.replaceAll(form, REDACTED), text);
  }

  private formsOf(secret: string): string[] {
    const known = this.forms.get(secret) ?? formsOf(secret);
    this.forms.set(secret, known);
    return known;
  }

  private hold(secret: string, prefixes: string[], by: 1 | -1): void {
    for (const prefix of prefixes) {
      const secrets = this.holders.get(prefix) ?? new Map<string, number>();
      const left = (secrets.get(secret) ?? 0) + by;
      if (left > 0) secrets.set(secret, left);
      else {
        secrets.delete(secret);
        this.forms.delete(secret);
      }
      if (secrets.size > 0) this.holders.set(prefix, secrets);
      else this.holders.delete(prefix);
    }
    if (by > 0) this.shortest = Math.min(this.shortest, secret.length);
    else if (secret.length === this.shortest) this.shortest = this.lengthOfShortest();
  }

  private lengthOfShortest(): number {
    let shortest = Infinity;
    for (const secrets of this.holders.values()) {
      for (const secret of secrets.keys()) shortest = Math.min(shortest, secret.length);
    }
    return shortest;
  }
}

/** The encodings of a plain text share their prefix with those of its first characters. */
function prefixesOf(secret: string): string[] {
  const start = PLAIN.test(secret) ? secret.slice(0, 2 * PREFIX) : secret;
  return [...new Set(formsOf(start).map((form) => form.slice(0, PREFIX)))];
}

function formsOf(secret: string): string[] {
  // Most are plain: then some of the forms are one and the same.
  const plain = PLAIN.test(secret);
  const base64 = base64FormsOf(plain ? secret : latin1Of(secret));
  const base64Url = base64.map((form) => form.replaceAll("+", "-").replaceAll("/", "_"));
  if (plain) return [...new Set([secret, ...base64, ...base64Url])];
  const json = JSON.stringify(secret).slice(1, -1);
  return [...new Set([secret, encodeURIComponent(secret), json, ...base64, ...base64Url])];
}

/**
 * The base64 of `latin1` alone, and what is always the same in the base64 of a longer text with
 * `latin1` in it, such as `user:password`. Base64 encodes three bytes at a time, so that depends on
 * how many stand before; characters that hold bits of a neighbour too are left out.
 */
function base64FormsOf(latin1: string): string[] {
  const inside = [0, 1, 2].map((before) => {
    const bytes = "\0".repeat(before) + latin1;
    const encoded = btoa(bytes).replace(/=+$/, "");
    return encoded.slice(before === 0 ? 0 : before + 1, bytes.length % 3 === 0 ? undefined : -1);
  });
  return [btoa(latin1).replace(/=+$/, ""), ...inside];
}

/** One character for each byte of its UTF-8, as `btoa` wants it. */
function latin1Of(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text));
}
