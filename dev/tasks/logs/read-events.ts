/** Log events out of whatever text holds them: the function's own output, or an export of it. */
import { z } from "zod";

/** What every event has; its other fields stay as they are. */
const LogEvent = z.looseObject({
  timestamp: z.iso.datetime(),
  level: z.string(),
  message: z.string(),
  requestId: z.string().optional(),
  /** Of an event that came after the summary of this request. */
  afterRequestId: z.string().optional(),
  machineId: z.string().optional(),
  userId: z.string().optional(),
});
export type LogEvent = z.output<typeof LogEvent>;

/** A row of an export from the dashboard. */
const ExportedRow = z.looseObject({ event_message: z.string() });

export interface LogText {
  events: LogEvent[];
  /** How many lines (or exported rows) were no event of the function. */
  skipped: number;
}

/** Never throws: what cannot be read is counted. */
export function readEvents(text: string): LogText {
  const found = exportedRows(text) ?? text.split(/\r?\n/).filter((line) => line.trim() !== "");
  const events: LogEvent[] = [];
  let skipped = 0;
  for (const item of found) {
    const event = eventOf(item);
    if (event) events.push(event);
    else skipped++;
  }
  return { events, skipped };
}

/** The rows of a text that is one JSON array, or null. */
function exportedRows(text: string): unknown[] | null {
  if (!text.trimStart().startsWith("[")) return null;
  const parsed = parseJson(text);
  return Array.isArray(parsed) ? parsed : null;
}

function eventOf(item: unknown): LogEvent | undefined {
  const value = typeof item === "string" ? parseJson(withoutPrefix(item)) : item;
  const exported = ExportedRow.safeParse(value);
  // The message of an export is the line that was printed.
  const event = exported.success ? parseJson(exported.data.event_message) : value;
  return LogEvent.safeParse(event).data;
}

/** `supabase functions serve` puts a level in front of each line. */
function withoutPrefix(line: string): string {
  const start = line.indexOf('{"timestamp":');
  return start > 0 && !line.startsWith("{") ? line.slice(start) : line;
}

/** Would be obeyed by the terminal; upstream error bodies can contain anything. Line breaks stay. */
// deno-lint-ignore no-control-regex -- these are what is looked for
const CONTROL_CHARACTERS = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(
      text,
      (_, value) => typeof value === "string" ? value.replace(CONTROL_CHARACTERS, "\ufffd") : value,
    );
  } catch {
    // Not JSON: counted as skipped by the caller.
    return undefined;
  }
}
