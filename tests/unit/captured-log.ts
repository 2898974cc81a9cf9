/** A logger of the function's own category, with every record that it gets. */
import { configureSync, getLogger, type Logger, type LogRecord } from "@logtape/logtape";

export interface CapturedLog {
  logger: Logger;
  /** In the order in which they were logged. */
  records: LogRecord[];
  /** `level: message` of each record. */
  lines(): string[];
}

/** LogTape has one configuration per process, so only the newest capture gets records. */
export function captureLog(): CapturedLog {
  const records: LogRecord[] = [];
  configureSync({
    reset: true,
    sinks: { captured: (record) => void records.push(record) },
    loggers: [
      { category: "provision-machine", lowestLevel: "debug", sinks: ["captured"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["captured"] },
    ],
  });
  return {
    logger: getLogger("provision-machine"),
    records,
    lines: () => records.map(({ level, rawMessage }) => `${level}: ${rawMessage}`),
  };
}
