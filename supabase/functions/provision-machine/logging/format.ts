/**
 * One log record to one line of JSON, or to the `[timestamp] …` lines of `LOG_FORMAT=text`.
 * The hosted platform cuts a message at 10,000 characters; this cuts earlier, and visibly.
 */
import type { LogRecord } from "@logtape/logtape";
import { REDACTED, type Redactor } from "./redactor.ts";

const MAX_EVENT_CHARACTERS = 9_000;
const MAX_FIELD_CHARACTERS = 1_200;
const MAX_STACK_CHARACTERS = 2_400;

/** Keys whose values are secrets wherever they appear; `FLY_API_TOKEN: EXISTS (length: N)` is a message. */
const SECRET_KEY =
  /^(authorization|apikey|api_key|cookie|set-cookie|password|secret|token|access_token|refresh_token|.*_(token|secret|password|key|keys))$/i;
const HARMLESS_KEYS = new Set(["idempotency_key"]);
/** The same keys in a line of JSON. */
const SECRET_KEY_IN_JSON = new RegExp(
  SECRET_KEY.source.replace("^", '"').replace("$", '":').replace(".*", '[^"]*'),
  "i",
);

/** Of everything that the function itself logs. */
export const CATEGORY = "provision-machine";

export type LogFormat = "json" | "text";

/** Returns a LogTape formatter. The result never contains a line break in JSON. */
export function createFormatter(
  format: LogFormat,
  redactor: Redactor,
): (record: LogRecord) => string {
  return (record: LogRecord): string => {
    const timestamp = new Date(record.timestamp).toISOString();
    const message = messageOf(record);
    const { text, ...properties } = record.properties;
    if (format === "json") {
      const line = { timestamp, level: record.level, message, ...properties };
      return plainLine(line, redactor) ?? prunedLine(line, redactor);
    }
    const fields = prune(properties, redactor) as Record<string, unknown>;
    const lines = (typeof text === "function" ? text() as string[] : [message])
      .map((line) => redactor.redact(line));
    return redactor.redact(formatText(timestamp, lines, fields, text === undefined));
  };
}

/** Our own messages are no templates, whatever braces others put into them; LogTape's are. */
function messageOf({ category, rawMessage, message }: LogRecord): string {
  return category[0] === CATEGORY && typeof rawMessage === "string" ? rawMessage : message.join("");
}

/**
 * An event in which nothing has to be cut and nothing hidden, as almost all are: told by one look at
 * the whole line. Undefined when it is not sure to be one.
 */
function plainLine(event: Record<string, unknown>, redactor: Redactor): string | undefined {
  let line: string;
  try {
    line = JSON.stringify(event);
  } catch {
    // A bigint or a circle, which `prune` knows how to tell.
    return undefined;
  }
  // Too short for a field to be cut; and without a backslash every string stands there as it is.
  const sure = line.length <= MAX_FIELD_CHARACTERS && !line.includes("\\") &&
    !SECRET_KEY_IN_JSON.test(line) && redactor.redact(line) === line;
  return sure ? line : undefined;
}

function prunedLine(
  { timestamp, level, message, ...properties }: Record<string, unknown>,
  redactor: Redactor,
): string {
  const fields = prune(properties, redactor) as Record<string, unknown>;
  return redactor.redact(
    formatJson(String(timestamp), String(level), redactor.redact(String(message)), fields),
  );
}

function formatJson(
  timestamp: string,
  level: string,
  message: string,
  fields: Record<string, unknown>,
): string {
  const event = { timestamp, level, message: cut(message, MAX_STACK_CHARACTERS), ...fields };
  const line = JSON.stringify(event);
  if (line.length <= MAX_EVENT_CHARACTERS) return line;
  const { requestId, machineId, userId } = fields;
  return JSON.stringify({
    timestamp,
    level,
    message: event.message,
    requestId,
    machineId,
    userId,
    fields: cut(JSON.stringify(fields), MAX_EVENT_CHARACTERS / 2),
  });
}

/**
 * A banner, time stamps in front, lists indented; what a line does not say itself follows as JSON
 * (`withDetails`), and the ids always do.
 */
function formatText(
  timestamp: string,
  lines: string[],
  fields: Record<string, unknown>,
  withDetails: boolean,
): string {
  const prefix = `[${timestamp}]`;
  const { requestId, machineId, userId, ...rest } = fields;
  const ids = Object.entries({ requestId, machineId, userId })
    .filter(([, value]) => value !== undefined).map(([key, value]) => `${key}=${value}`).join(" ");
  const head = lines.flatMap((line) => {
    // What somebody else said may have lines that look like ours.
    const [first = "", ...more] = line.split(/\r\n|[\n\r\u2028\u2029]/);
    return [
      first.startsWith("  - ") ? first : `${prefix} ${first}`,
      ...more.map((text) => `${prefix}   ${text}`),
    ];
  });
  const details = withDetails && Object.keys(rest).length > 0
    ? [`${prefix}   ${JSON.stringify(rest)}`]
    : [];
  const text = [...head, ...details, ...(ids ? [`${prefix}   ${ids}`] : [])].join("\n");
  return cut(text, MAX_EVENT_CHARACTERS);
}

/**
 * Cuts long strings and hides secrets, at any depth. Redacted before it is cut: a secret that is cut
 * in two would not be recognised any more.
 */
function prune(value: unknown, redactor: Redactor, key = "", depth = 0): unknown {
  if (typeof value === "string") {
    return cut(
      redactor.redact(value),
      key === "stack" ? MAX_STACK_CHARACTERS : MAX_FIELD_CHARACTERS,
    );
  }
  if (typeof value === "bigint") return value.toString();
  if (value === null || typeof value !== "object") return value;
  if (depth > 10) return "[nested too deeply]";
  if (Array.isArray(value)) {
    return value.slice(0, 50).map((item) => prune(item, redactor, key, depth + 1));
  }
  return Object.fromEntries(
    Object.entries(value).filter(([, item]) => item !== undefined).map(([name, item]) => [
      name,
      SECRET_KEY.test(name) && !HARMLESS_KEYS.has(name)
        ? REDACTED
        : prune(item, redactor, name, depth + 1),
    ]),
  );
}

/** `text`, shortened to about `length` characters with a visible marker. */
export function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  // Half of a surrogate pair is no text any more: Postgres refuses it in JSON.
  return `${text.slice(0, length).toWellFormed()}…[cut, ${text.length} characters in all]`;
}
