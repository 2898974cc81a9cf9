/** A machine's message as a person reads it. */

const ONE_LINE = 60;

/** JSON with spaces, on several lines if it is long; any other text as it is. */
export function readable(text: string): string {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    const value: unknown = JSON.parse(text);
    const lines = JSON.stringify(value, null, 2);
    const line = lines.replaceAll(/\n */g, " ");
    return line.length <= ONE_LINE ? line : lines;
  } catch {
    // Not JSON.
    return text;
  }
}
