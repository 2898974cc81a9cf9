import { configureSync, getConsoleSink, getLogger, type Logger } from "@logtape/logtape";
import type { Settings } from "../config/environment.ts";
import { CATEGORY, createFormatter } from "./format.ts";
import type { Redactor } from "./redactor.ts";

let configuredFor: string | undefined;

/**
 * Sets up LogTape for this isolate and returns the function's logger. Errors go to
 * `console.error` and warnings to `console.warn`, so that the dashboard's level filter works.
 * Settings that are missing, because they do not parse, are the defaults here: a broken
 * `LOG_LEVEL` has to be reported somehow.
 */
export function configureLogging(settings: Partial<Settings>, redactor: Redactor): Logger {
  const level = settings.LOG_LEVEL ?? "info";
  const format = settings.LOG_FORMAT ?? "json";
  const wanted = `${level} ${format}`;
  if (configuredFor !== wanted) {
    configureSync({
      reset: true,
      sinks: { console: getConsoleSink({ formatter: createFormatter(format, redactor) }) },
      loggers: [
        { category: CATEGORY, lowestLevel: level, sinks: ["console"] },
        { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["console"] },
      ],
    });
    configuredFor = wanted;
  }
  return getLogger(CATEGORY);
}
