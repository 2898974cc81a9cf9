/**
 * The function's log lines for a developer's eyes. One event is one line of JSON with a thousand
 * characters and more: here it is a line with what happened, and the details below it.
 */
import { styleText } from "node:util";
import { z } from "zod";

const eventSchema = z.looseObject({
  timestamp: z.string(),
  level: z.string(),
  message: z.string(),
  requestId: z.string().optional(),
  error: z.looseObject({ stack: z.string().optional() }).optional(),
});

type Style = Parameters<typeof styleText>[0];
/** Escape codes, or none where the output is no terminal. */
export type Paint = (style: Style, text: string) => string;

/** Colours where standard output is a terminal that has them. */
export function paintForStdout(style: Style, text: string): string {
  return styleText(style, text);
}

/** The same in each event of a request, and in its answer. */
const IDS = ["requestId", "machineId", "userId"];
const LEVEL_STYLES: Record<string, Style> = { warning: "yellow", error: "red", fatal: "red" };
/** Enough to distinguish requests. */
const REQUEST_ID_CHARACTERS = 8;
const LEVEL_CHARACTERS = "warning".length;

/** A line as it is to be shown; anything that is no log event stays as it is. */
export function compact(line: string, paint: Paint): string {
  const event = parseEvent(line);
  if (event === null) return line;
  const { timestamp, level, message, requestId = "", error, ...fields } = event;
  const style = LEVEL_STYLES[level] ?? "reset";
  const head = [
    // Of an ISO 8601 time in UTC, what differs from line to line.
    paint("dim", timestamp.slice(11, 23)),
    paint("dim", requestId.slice(0, REQUEST_ID_CHARACTERS).padEnd(REQUEST_ID_CHARACTERS)),
    paint(style, level.padEnd(LEVEL_CHARACTERS)),
    paint(style, message),
  ].join("  ");
  const details = Object.entries(fields)
    .filter(([name, value]) => !IDS.includes(name) && value !== null)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  const below = [
    ...(details.length > 0 ? [details.join("  ")] : []),
    ...(error?.stack ?? "").split("\n").map((frame) => frame.trim()).filter((frame) => frame),
  ];
  return [head, ...below.map((text) => paint("dim", `    ${text}`))].join("\n");
}

function parseEvent(line: string): z.infer<typeof eventSchema> | null {
  if (!line.startsWith("{")) return null;
  try {
    return eventSchema.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    // Not JSON after all: shown as it came.
    return null;
  }
}
