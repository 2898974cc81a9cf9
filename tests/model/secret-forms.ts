/** The forms in which a secret is looked for: itself, encoded, and enough of it to be of use. */
const cache = new Map<string, string[]>();

/** Characters of a secret's end that must not surface either: a cut text can leave half of it. */
const ENOUGH = 20;

export function fingerprint(secret: string): string[] {
  let forms = cache.get(secret);
  if (forms === undefined) {
    const bytes = new TextEncoder().encode(secret);
    // Where the secret ends, base64 depends on what follows.
    const encoded = bytes.toBase64().replace(/=+$/, "").slice(0, -2);
    const isJwt = secret.startsWith("ey");
    // Every JWT begins alike; what is secret of it is its end.
    const parts = isJwt
      ? [secret.slice(-ENOUGH)]
      : [secret.slice(0, ENOUGH), secret.slice(-ENOUGH)];
    forms = [...new Set([...parts, encodeURIComponent(secret), encoded])];
    cache.set(secret, forms);
  }
  return forms;
}
