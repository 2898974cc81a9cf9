/**
 * Replaces every known secret in a text, whatever way it got there: an upstream error that echoes
 * a header, a URL, a stack. Used for log lines, responses, rows, events and alerts alike.
 */

export const REDACTED = "[REDACTED]";
/** Shorter values occur by chance in ordinary text; replacing them would garble it. */
const SHORTEST_SECRET = 6;

export class Redactor {
  /** Secret forms with the number of holders, so that overlapping requests do not undo each other. */
  private readonly holders = new Map<string, number>();
  private pattern: RegExp | undefined;

  /**
   * Redacts `secrets` from now on, also in their base64, URL-encoded and JSON-escaped forms.
   * Returns a function that lets go of them.
   */
  protect(secrets: Iterable<string>): () => void {
    const forms = [...secrets].flatMap(formsOf);
    for (const form of forms) this.holders.set(form, (this.holders.get(form) ?? 0) + 1);
    this.pattern = undefined;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      for (const form of forms) {
        const left = (this.holders.get(form) ?? 1) - 1;
        if (left > 0) this.holders.set(form, left);
        else this.holders.delete(form);
      }
      this.pattern = undefined;
    };
  }

  /** `text` with every protected secret replaced by {@link REDACTED}. */
  redact(text: string): string {
    if (this.holders.size === 0) return text;
    this.pattern ??= new RegExp(
      // Longest first, so that a secret that contains another is replaced whole.
      [...this.holders.keys()].sort((a, b) => b.length - a.length).map(escapeRegExp)
        .join("|"),
      "g",
    );
    return text.replace(this.pattern, REDACTED);
  }
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\\/-]/g, "\\$&");
}

function formsOf(secret: string): string[] {
  if (secret.length < SHORTEST_SECRET) return [];
  const bytes = new TextEncoder().encode(secret);
  const base64 = btoa(String.fromCharCode(...bytes)).replace(/=+$/, "");
  const base64Url = base64.replaceAll("+", "-").replaceAll("/", "_");
  const json = JSON.stringify(secret).slice(1, -1);
  return [...new Set([secret, encodeURIComponent(secret), base64, base64Url, json])];
}
