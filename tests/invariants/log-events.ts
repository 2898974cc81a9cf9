/** The function's output as log events. */
import type { OutputLine } from "../../dev/stack/function/mod.ts";

export interface LogEvent {
  timestamp: string;
  /** Empty with `LOG_FORMAT=text`, which does not say it. */
  level: string;
  message: string;
  stream: OutputLine["stream"];
  /** As printed, without the last line break. */
  text: string;
  requestId?: string;
  [field: string]: unknown;
}

const TEXT_LINE = /^\[(\d{4}-\d{2}-\d{2}T[\d:.]+Z)\] (.*)$/;

/** Events of both formats. Throws when a line belongs to neither. */
export function parseLog(lines: OutputLine[]): LogEvent[] {
  const events: LogEvent[] = [];
  for (const stream of ["stdout", "stderr"] as const) {
    let block: string[] = [];
    for (const { line } of lines.filter((line) => line.stream === stream)) {
      if (line.startsWith("{")) {
        events.push({ ...JSON.parse(line), stream, text: line });
        continue;
      }
      // Only the items of a list do without a time stamp.
      if (!TEXT_LINE.test(line) && !line.startsWith("  - ")) {
        throw new Error(`a line of no event: ${line}`);
      }
      block.push(line);
      // Each event of the text format ends with the line that says whose it is.
      const ids = /^\[\S+\] {3}requestId=(\S+)/.exec(line);
      if (ids === null) continue;
      const [, timestamp = "", message = ""] = TEXT_LINE.exec(block[0] ?? "") ?? [];
      events.push({
        timestamp,
        level: "",
        message,
        stream,
        text: block.join("\n"),
        requestId: ids[1] ?? "",
      });
      block = [];
    }
  }
  return events;
}

/** Whether an event is the last of its request. */
export function isSummary({ message }: LogEvent): boolean {
  return message.startsWith("provision-machine finished: ");
}
