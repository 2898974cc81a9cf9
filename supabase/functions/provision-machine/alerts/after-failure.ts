/** What happens, beside the answer, when provisioning has failed and a webhook is configured. */
import type { Settings } from "../config/environment.ts";
import type { AppError } from "../errors.ts";
import type { RequestLog } from "../logging/request-log.ts";
import type { Database, Services } from "../services.ts";
import { alertOnFailure, type AlertSettings, post } from "./alerter.ts";
import { HINTS } from "./hints.ts";

export interface Failure {
  services: Services;
  settings: Partial<Settings>;
  /** Null when the platform's own settings are broken. */
  database: Database | null;
  log: RequestLog;
  requestId: string;
  error: AppError;
}

/** Never throws. */
export async function afterFailure(failure: Failure): Promise<void> {
  const settings = alertSettings(failure.settings);
  if (settings === null) return;
  const { services, database, log, error } = failure;
  // Without the database nobody can be asked whether others have told already, so each isolate
  // keeps its own count; better twice than never.
  if (database === null || error.code === "database_error") {
    return await alertAlone(failure, settings);
  }
  const { runtime, redactor } = services;
  await alertOnFailure({ runtime, redactor, settings, log, caller: database.caller });
}

/** The settings of alerts, with the contract's defaults where a value is broken; null without a webhook. */
export function alertSettings(settings: Partial<Settings>): AlertSettings | null {
  if (settings.ALERT_WEBHOOK_URL === undefined) return null;
  return {
    ALERT_WEBHOOK_URL: settings.ALERT_WEBHOOK_URL,
    ALERT_FAILURE_THRESHOLD: settings.ALERT_FAILURE_THRESHOLD ?? 3,
    ALERT_WINDOW_MINUTES: settings.ALERT_WINDOW_MINUTES ?? 10,
    ALERT_COOLDOWN_MINUTES: settings.ALERT_COOLDOWN_MINUTES ?? 30,
  };
}

async function alertAlone(failure: Failure, settings: AlertSettings): Promise<void> {
  const { services, log, requestId, error } = failure;
  const { clock } = services.runtime;
  const cooldownMs = settings.ALERT_COOLDOWN_MINUTES * 60_000;
  const last = services.lastLoneAlertAt.get(error.code);
  if (last !== undefined && clock.now() - last < cooldownMs) return;
  services.lastLoneAlertAt.set(error.code, clock.now());
  const text = [
    `❌ provision-machine: ${error.code}: ${error.message}`,
    `Newest request: ${requestId}`,
    `What to do: ${HINTS[error.code] ?? HINTS.internal_error}`,
  ].join("\n");
  const problem = await post(
    services.runtime,
    settings.ALERT_WEBHOOK_URL,
    { text },
    services.redactor,
  );
  if (problem === null) return;
  // Not told after all: the next failure tries again.
  services.lastLoneAlertAt.delete(error.code);
  log.afterSummary("The alert webhook failed", problem, { alertCode: error.code });
}
