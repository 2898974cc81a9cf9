/** Requests for a reader: a list with a line each, or one with everything that it logged. */
import type { styleText } from "node:util";
import type { LogEvent } from "./read-events.ts";
import { type LoggedRequest, startOf } from "./requests.ts";

type Style = Parameters<typeof styleText>[0];
/** Adds escape codes, or none where they are not wanted. */
export type Paint = (style: Style, text: string) => string;

const LEVEL_STYLES: Record<string, Style> = { warning: "yellow", error: "red", fatal: "red" };
/** Shown above all events, or in a form of their own. */
const TOLD_ELSEWHERE = new Set(["timestamp", "level", "message", "requestId", "afterRequestId"]);
const IDS = new Set(["machineId", "userId", "traceId"]);
const SUMMARY_MESSAGE = "provision-machine finished: ";

/** One line: when, how it ended, how long it took, whose it was. */
export function formatRow(request: LoggedRequest, paint: Paint): string {
  const { summary, machineId, id } = request;
  const status = summary ? String(summary.status) : "…";
  const outcome = summary ? summary.code ?? summary.outcome : "no summary";
  return [
    paint("dim", readableTime(startOf(request))),
    paint(styleOf(request), `${status.padEnd(3)} ${outcome.padEnd(24)}`),
    (summary ? duration(summary.durationMs) : "").padStart(8),
    (machineId ?? "-").padEnd(24),
    paint("dim", id),
  ].join("  ");
}

/** Everything about one request. */
export function formatRequest(request: LoggedRequest, paint: Paint): string {
  const { summary, events, id, machineId, userId } = request;
  const [first] = events;
  const call = [first?.["method"], first?.["path"]].filter(Boolean).join(" ") || "request";
  const end = summary
    ? `${summary.status} ${summary.code ?? summary.outcome} after ${duration(summary.durationMs)}`
    : "no summary: it is not over, or it died";
  const phases = Object.entries(summary?.ms ?? {}).map(([phase, ms]) => `${phase} ${duration(ms)}`);
  const facts: [string, string | undefined][] = [
    ["when", readableTime(startOf(request))],
    ["request", id],
    ["machine", machineId ?? undefined],
    ["user", userId ?? undefined],
    ["region", summary?.region],
    ["reason", summary?.reason],
    ["phases", phases.join(", ")],
    ["creates", summary?.attempts ? String(summary.attempts) : undefined],
    ["fly ids", summary?.flyRequestIds.map((flyId) => flyId ?? "(no answer)").join(", ")],
    ...(summary?.failedCalls ?? []).map((call): [string, string] => ["failed", call]),
  ];
  return [
    paint("bold", `${call} → `) + paint(styleOf(request), end),
    ...facts.flatMap(([name, value]) => value ? [`  ${paint("dim", name.padEnd(8))}${value}`] : []),
    "",
    ...events.filter(({ message }) => !message.startsWith(SUMMARY_MESSAGE))
      .map((event) => formatEvent(event, startOf(request), paint)),
  ].join("\n");
}

function formatEvent(event: LogEvent, start: string, paint: Paint): string {
  const ms = Date.parse(event.timestamp) - Date.parse(start);
  const style = LEVEL_STYLES[event.level] ?? "reset";
  const { error, ...fields } = event;
  const details = Object.entries(fields)
    .filter(([name, value]) => !TOLD_ELSEWHERE.has(name) && !IDS.has(name) && value !== null)
    .map(([name, value]) =>
      `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`
    );
  return [
    `${paint("dim", `+${duration(ms)}`.padStart(9))}  ${paint(style, event.level.padEnd(7))}  ${
      paint(style, event.message)
    }`,
    ...[...details, ...stackOf(error)].map((line) => paint("dim", `${" ".repeat(20)}${line}`)),
  ].join("\n");
}

function stackOf(error: unknown): string[] {
  if (typeof error !== "object" || error === null) return [];
  const { stack, name, message } = error as { stack?: unknown; name?: unknown; message?: unknown };
  const text = typeof stack === "string" && stack !== "N/A" ? stack : `${name}: ${message}`;
  return text.split("\n").map((frame, index) => index === 0 ? frame : `  ${frame.trim()}`);
}

function styleOf({ summary }: LoggedRequest): Style {
  if (summary === null || (summary.status >= 400 && summary.status < 500)) return "yellow";
  return summary.status >= 500 || summary.outcome === "failed" ? "red" : "green";
}

function readableTime(timestamp: string): string {
  return timestamp.replace("T", " ").replace("Z", "");
}

function duration(ms: number): string {
  return ms < 1_000 ? `${ms} ms` : `${(ms / 1_000).toFixed(1)} s`;
}
