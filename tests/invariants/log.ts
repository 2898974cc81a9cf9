/** I5: every failure is logged, and a request's events keep to the log's budget and order. */
import { isSummary, type LogEvent } from "./log-events.ts";

const BUDGETS = {
  success: { events: 6, bytes: 4 * 1024 },
  failure: { events: 10, bytes: 16 * 1024 },
};
/** The hosted platform cuts a message at 10,000 characters. */
const MAX_EVENT_CHARACTERS = 9_000;

/** How the events of a log are to be judged. */
export interface LogRules {
  /** `LOG_LEVEL`; above `info` there are no summaries. */
  level: string;
  /** Requests that were cut off, by the end of their isolate or process. */
  mayLackSummary: (requestId: string) => boolean;
  /** Whether the events are in the order in which they were printed, on both streams together. */
  inOrder: boolean;
}

/** What in a log is not as the contract says, request by request. */
export function logViolations(events: readonly LogEvent[], options: LogRules): string[] {
  const byRequest = Map.groupBy(events, ({ requestId }) => requestId ?? "none");
  // What happens outside of any request has no summary.
  byRequest.delete("none");
  return [...byRequest].flatMap(([requestId, own]) => {
    const messages = own.map(({ message }) => message.slice(0, 60)).join("; ");
    const mayLackSummary = options.level !== "info" || options.mayLackSummary(requestId);
    return requestViolations(own, mayLackSummary, options.inOrder)
      .map((violation) => `log: ${requestId}: ${violation} (${messages})`);
  });
}

function requestViolations(
  events: LogEvent[],
  mayLackSummary: boolean,
  inOrder: boolean,
): string[] {
  const summaries = events.filter(isSummary);
  const [summary] = summaries;
  const lines = events.flatMap(lineViolations);
  if (summary === undefined) return mayLackSummary ? lines : [...lines, "there is no summary"];
  const failed = /outcome"?[":= ]+failed/.test(summary.text);
  // A request that succeeds although it could not be handed over has said so as an error.
  const untroubled = !failed && !events.some(({ level }) => level === "error");
  const budget = untroubled ? BUDGETS.success : BUDGETS.failure;
  const bytes = events.reduce(
    (sum, { text }) => sum + new TextEncoder().encode(`${text}\n`).length,
    0,
  );
  const before = inOrder ? events : events.filter(({ stream }) => stream === summary.stream);
  return [
    ...lines,
    ...(summaries.length === 1 ? [] : [`${summaries.length} summaries`]),
    ...(before.at(-1) === summary ? [] : ["the summary is not the last event"]),
    ...(events.every(({ timestamp }) => timestamp <= summary.timestamp)
      ? []
      : ["an event is later than the summary"]),
    ...(events.length <= budget.events ? [] : [`${events.length} events of ${budget.events}`]),
    ...(bytes <= budget.bytes ? [] : [`${bytes} bytes of ${budget.bytes}`]),
    ...(failed && Number(/status"?[":= ]+(\d+)/.exec(summary.text)?.[1]) === 500 &&
        !events.some(isFailure)
      ? ["a failure without an error event"]
      : []),
  ];
}

function lineViolations({ text, level, stream }: LogEvent): string[] {
  const own = level === "warning" || level === "error" || level === "fatal" ? "stderr" : "stdout";
  return [
    ...(text.length <= MAX_EVENT_CHARACTERS ? [] : [`an event of ${text.length} characters`]),
    ...(level === "" || stream === own ? [] : [`${level} on ${stream}`]),
  ];
}

function isFailure({ stream, message }: LogEvent): boolean {
  return stream === "stderr" && /^(❌|CRITICAL ERROR)/.test(message);
}

/** What the function answered, as far as its log has to match. */
export type LoggedAnswer = { status: number; text: string } | null;

/** None for the line that a killed process did not finish. */
function wholeEvent(line: string): LogEvent[] {
  try {
    return [JSON.parse(line)];
  } catch {
    return [];
  }
}

/** Each 5xx is an error event with its request id, code and machine, and Fly.io's own request id. */
export function unloggedFailures(
  answers: readonly LoggedAnswer[],
  lines: readonly string[],
): string[] {
  const errors = lines.filter((line) => line.includes('"level":"error"')).flatMap(wholeEvent);
  return answers.flatMap((answer) => {
    if (answer === null || answer.status < 500) return [];
    const { requestId, code, machineId } = JSON.parse(answer.text);
    const logged = errors.find((event) => event.requestId === requestId && event["code"] === code);
    if (logged === undefined) return [`I5: no error was logged for ${answer.text}`];
    return [
      ...(!machineId || machineId === logged["machineId"]
        ? []
        : [`I5: ${requestId} answers of ${machineId}, its error event of ${logged["machineId"]}`]),
      ...(logged["flyStatus"] !== undefined && !logged["flyRequestId"]
        ? [`I5: ${requestId} logged Fly.io's ${logged["flyStatus"]} without its request id`]
        : []),
    ];
  });
}
