/** I5 of the model test: what the function printed against what it answered and wrote. */
import { logViolations, unloggedFailures } from "../invariants/log.ts";
import type { LogEvent } from "../invariants/log-events.ts";
import type { LogLine } from "./model-world.ts";
import type { Observation } from "./run-schedule.ts";

interface PrintedEvent extends LogEvent {
  method: LogLine["method"];
}

export function modelLogViolations(seen: Observation): string[] {
  const { events, unreadable } = parse(seen.lines);
  const cutOff = new Set(
    seen.requests.filter(({ isolate }) => seen.endedIsolates.includes(isolate))
      .map(({ requestId }) => requestId),
  );
  const silent = seen.requests.filter(({ requestId }) =>
    !cutOff.has(requestId) && !events.some((event) => event.requestId === requestId)
  );
  const answers = seen.requests.map(({ answer }) => typeof answer === "object" ? answer : null);
  return [
    ...unloggedFailures(answers, seen.lines.map(({ line }) => line)),
    ...unreadable.map((line) => `log: not one line of JSON: ${line.slice(0, 200)}`),
    ...silent.map(({ requestId }) => `log: ${requestId}: nothing was logged`),
    ...logViolations(events, {
      level: "info",
      mayLackSummary: (requestId) => cutOff.has(requestId),
      inOrder: true,
    }),
    ...events.filter(({ level, method }) =>
      (level === "error" || level === "fatal") !== (method === "error")
    ).map(({ level, method, message }) => `I5: ${level} went to console.${method}: ${message}`),
    ...backgroundViolations(seen, events),
    ...silentRows(seen, events),
  ];
}

function parse(lines: LogLine[]): { events: PrintedEvent[]; unreadable: string[] } {
  const events: PrintedEvent[] = [];
  const unreadable: string[] = [];
  for (const { method, line } of lines) {
    const stream = method === "error" || method === "warn" ? "stderr" : "stdout";
    try {
      events.push({ ...JSON.parse(line), method, stream, text: line });
    } catch {
      unreadable.push(line);
    }
  }
  return { events, unreadable };
}

/** A failure after 202 is only in the log and the row. */
function backgroundViolations(seen: Observation, events: PrintedEvent[]): string[] {
  return seen.requests.flatMap(({ requestId, isolate, answer }) => {
    if (typeof answer !== "object" || answer.status !== 202) return [];
    const failed = seen.events.some((event) =>
      event.kind === "failed" && event.request_id === requestId
    );
    const logged = events.some((event) => event.requestId === requestId && event.level === "error");
    return failed && !logged && !seen.endedIsolates.includes(isolate)
      ? [`I5: ${requestId} failed after its 202, and no error was logged`]
      : [];
  });
}

/** A failure that only reconcile notices is logged as an error too, with the machine's name. */
function silentRows(seen: Observation, events: PrintedEvent[]): string[] {
  return seen.events.filter(({ kind }) => kind === "interrupted" || kind === "machine_lost")
    .flatMap(({ cloud_machine_id, kind, request_id }) => {
      const writer = seen.requests.find(({ requestId }) => requestId === request_id);
      // A run that died or could not reach the database has logged that instead.
      if (typeof writer?.answer !== "object" || writer.answer.status !== 200) return [];
      if (writer.answer.body.actions?.some(({ action }) => action === "failed")) return [];
      const name = seen.rows.find(({ id }) => id === cloud_machine_id)?.machine_id ?? "";
      const logged = events.some(({ level, text }) => level === "error" && text.includes(name));
      return logged ? [] : [`I5: ${name} became ${kind}, and no error was logged`];
    });
}
