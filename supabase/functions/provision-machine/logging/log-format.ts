/**
 * One log record to one line of JSON, or to the `[timestamp] …` lines of `LOG_FORMAT=text`.
 * The hosted platform cuts a message at 10,000 characters; this truncates earlier, and visibly.
 */
import {
  configureSync,
  getConsoleSink,
  getLogger,
  type Logger,
  type LogLevel,
  type LogRecord,
} from "@logtape/logtape";
import { REDACTED, type Redactor } from "./redactor.ts";

const MAX_EVENT_CHARACTERS = 9_000;
const MAX_FIELD_CHARACTERS = 1_200;
const MAX_STACK_CHARACTERS = 2_400;

/** Keys whose values are secrets wherever they appear; `FLY_API_TOKEN: EXISTS (length: N)` is a message. */
const SECRET_KEY =
  /^(authorization|apikey|api_key|cookie|set-cookie|password|secret|token|access_token|refresh_token|.*_(token|secret|password|key|keys))$/i;
const HARMLESS_KEYS = new Set(["idempotency_key"]);
/** The category of everything that the function itself logs. */
const CATEGORY = "provision-machine";

export type LogFormat = "json" | "text";

/** How an isolate logs. */
export interface LogOptions {
  level: LogLevel;
  format: LogFormat;
}

/**
 * Sets up LogTape, which has one configuration per process, and returns the function's logger.
 * Errors go to `console.error` and warnings to `console.warn`, so that the dashboard's level filter
 * works.
 */
export function configureLogging({ level, format }: LogOptions, redactor: Redactor): Logger {
  configureSync({
    reset: true,
    sinks: { console: getConsoleSink({ formatter: createFormatter(format, redactor) }) },
    loggers: [
      { category: CATEGORY, lowestLevel: level, sinks: ["console"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["console"] },
    ],
  });
  return getLogger(CATEGORY);
}

/** Returns a LogTape formatter. The result never contains a line break in JSON. */
export function createFormatter(
  format: LogFormat,
  redactor: Redactor,
): (record: LogRecord) => string {
  return (record: LogRecord): string => {
    const timestamp = new Date(record.timestamp).toISOString();
    const message = messageOf(record);
    const { text, ...properties } = record.properties;
    const fields = redactAndTruncate(properties, redactor) as Record<string, unknown>;
    if (format === "json") {
      return redactor.redact(
        formatJson(timestamp, record.level, redactor.redact(message), fields),
      );
    }
    const lines = (typeof text === "function" ? text() as string[] : [message])
      .map((line) => redactor.redact(line));
    return redactor.redact(formatText(timestamp, lines, fields, text === undefined));
  };
}

/** Our own messages are not templates, whatever braces they contain; LogTape's are. */
function messageOf({ category, rawMessage, message }: LogRecord): string {
  return category[0] === CATEGORY && typeof rawMessage === "string" ? rawMessage : message.join("");
}

function formatJson(
  timestamp: string,
  level: string,
  message: string,
  fields: Record<string, unknown>,
): string {
  const event = { timestamp, level, message: truncate(message, MAX_STACK_CHARACTERS), ...fields };
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
    fields: truncate(JSON.stringify(fields), MAX_EVENT_CHARACTERS / 2),
  });
}

/**
 * A banner, time stamps in front, lists indented. Fields that the lines do not show follow as JSON
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
    // An upstream's text may have lines that look like ours.
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
  return truncate(text, MAX_EVENT_CHARACTERS);
}

/**
 * Shortens long strings and hides secrets, at any depth. Redacts before it truncates: half a secret
 * would not be recognised.
 */
function redactAndTruncate(value: unknown, redactor: Redactor, key = "", depth = 0): unknown {
  if (typeof value === "string") {
    return truncate(
      redactor.redact(value),
      key === "stack" ? MAX_STACK_CHARACTERS : MAX_FIELD_CHARACTERS,
    );
  }
  if (typeof value === "bigint") return value.toString();
  if (value === null || typeof value !== "object") return value;
  if (depth > 10) return "[nested too deeply]";
  if (Array.isArray(value)) {
    return value.slice(0, 50).map((item) => redactAndTruncate(item, redactor, key, depth + 1));
  }
  return Object.fromEntries(
    Object.entries(value).filter(([, item]) => item !== undefined).map(([name, item]) => [
      name,
      SECRET_KEY.test(name) && !HARMLESS_KEYS.has(name)
        ? REDACTED
        : redactAndTruncate(item, redactor, name, depth + 1),
    ]),
  );
}

/** `text`, shortened to about `length` characters with a visible marker. */
export function truncate(text: string, length: number): string {
  if (text.length <= length) return text;
  // Postgres refuses half of a surrogate pair in JSON.
  return `${text.slice(0, length).toWellFormed()}…[cut, ${text.length} characters in all]`;
}
