/** I5 and the log budget: what the function printed against what it answered and wrote. */
import type { Ask } from "./caller.ts";
import type { LogLine } from "./world.ts";
import type { Observation } from "./run-schedule.ts";

const SUCCESS = { events: 6, bytes: 4 * 1024 };
const FAILURE = { events: 10, bytes: 16 * 1024 };
/** The hosted platform cuts a message at 10,000 characters. */
const MAX_EVENT_CHARACTERS = 9_000;

interface LogEvent extends LogLine {
  level: string;
  message: string;
  requestId?: string;
  machineId?: string;
  code?: string;
  flyStatus?: number;
  flyRequestId?: string | null;
  outcome?: string;
}

export function logViolations(seen: Observation): string[] {
  const events: LogEvent[] = [];
  const found: string[] = [];
  for (const { method, line } of seen.lines) {
    if (line.length > MAX_EVENT_CHARACTERS) {
      found.push(`log: an event has ${line.length} characters`);
    }
    try {
      events.push({ ...JSON.parse(line) as LogEvent, method, line });
    } catch {
      found.push(`log: not one line of JSON: ${line.slice(0, 200)}`);
    }
  }
  for (const event of events) {
    if ((event.level === "error" || event.level === "fatal") !== (event.method === "error")) {
      found.push(`I5: ${event.level} went to console.${event.method}: ${event.message}`);
    }
  }
  const byRequest = Map.groupBy(events, ({ requestId }) => requestId ?? "");
  for (const ask of seen.asks) {
    const own = byRequest.get(ask.requestId) ?? [];
    const cutShort = seen.endedIsolates.includes(ask.isolate);
    found.push(...budgetViolations(ask, own, cutShort), ...failureViolations(ask, own));
  }
  return [...found, ...backgroundViolations(seen, byRequest), ...silentRows(seen, events)];
}

function budgetViolations(
  { requestId, kind, answer }: Ask,
  events: LogEvent[],
  cutShort: boolean,
): string[] {
  const summary = events.findLast(({ outcome }) => outcome !== undefined);
  const found: string[] = [];
  if (!cutShort && (summary === undefined || summary !== events.at(-1))) {
    found.push(`log: ${requestId} (${kind}) does not end with its summary`);
  }
  // A success that had an error to tell, such as the isolate's end being announced, is no plain one.
  const succeeded = typeof answer === "object" && answer.status < 300 &&
    !events.some(({ level }) => level === "error");
  const budget = succeeded ? SUCCESS : FAILURE;
  const bytes = events.reduce(
    (sum, { line }) => sum + new TextEncoder().encode(line).length + 1,
    0,
  );
  const what = `${requestId} (${kind}, ${succeeded ? "succeeded" : "failed"})`;
  if (events.length > budget.events) {
    const messages = events.map(({ message }) => message.slice(0, 60)).join(" | ");
    found.push(`log: ${what} has ${events.length} events of ${budget.events}: ${messages}`);
  }
  if (bytes > budget.bytes) found.push(`log: ${what} has ${bytes} bytes of ${budget.bytes}`);
  return found;
}

/** Every 500 is an error event with its request id, code, machine and Fly.io's own request id. */
function failureViolations({ requestId, answer }: Ask, events: LogEvent[]): string[] {
  if (typeof answer !== "object" || answer.status !== 500) return [];
  const { code, machineId } = answer.body;
  const told = events.find((event) => event.level === "error" && event.code === code);
  if (told === undefined) return [`I5: ${requestId} answered 500 ${code} and logged no such error`];
  return [
    ...(!machineId || machineId === told.machineId
      ? []
      : [`I5: ${requestId} answers of ${machineId}, its error event of ${told.machineId}`]),
    ...(told.flyStatus !== undefined && !told.flyRequestId
      ? [`I5: ${requestId} logged Fly.io's ${told.flyStatus} without its request id`]
      : []),
  ];
}

/** A failure after 202 is only in the log and the row. */
function backgroundViolations(seen: Observation, byRequest: Map<string, LogEvent[]>): string[] {
  return seen.asks.flatMap((ask) => {
    const { requestId, answer } = ask;
    if (typeof answer !== "object" || answer.status !== 202) return [];
    const failed = seen.events.some((event) =>
      event.kind === "failed" && event.request_id === requestId
    );
    const told = byRequest.get(requestId)?.some(({ level }) => level === "error");
    return failed && !told && !seen.endedIsolates.includes(ask.isolate)
      ? [`I5: ${requestId} failed after its 202, and no error was logged`]
      : [];
  });
}

/** A failure that only reconcile notices is told at error level too, with the machine's name. */
function silentRows(seen: Observation, events: LogEvent[]): string[] {
  return seen.events.filter(({ kind }) => kind === "interrupted" || kind === "machine_lost")
    .flatMap(({ cloud_machine_id, kind, request_id }) => {
      const writer = seen.asks.find(({ requestId }) => requestId === request_id);
      // A run that died or could not reach the database has told that instead.
      if (typeof writer?.answer !== "object" || writer.answer.status !== 200) return [];
      if (writer.answer.body.actions?.some(({ action }) => action === "failed")) return [];
      const name = seen.rows.find(({ id }) => id === cloud_machine_id)?.machine_id ?? "";
      const told = events.some(({ level, line }) => level === "error" && line.includes(name));
      return told ? [] : [`I5: ${name} became ${kind}, and no error was logged`];
    });
}
