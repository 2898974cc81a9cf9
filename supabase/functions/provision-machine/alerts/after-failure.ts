/** What happens, beside the answer, when provisioning has failed. */
import { z } from "zod/v3";
import type { Settings } from "../config/environment.ts";
import { Deadline } from "../deadline.ts";
import type { AppError } from "../errors.ts";
import type { RequestLog } from "../logging/request-log.ts";
import type { Database } from "../database/database.ts";
import type { Services } from "../services.ts";
import { type AlertSettings, evaluateAlerts, sendAlert } from "./alerter.ts";
import { loneAlertMessage } from "./message.ts";
import { post } from "./post.ts";
import type { Alert } from "./rows.ts";

/** The answer is out already; an isolate should not live much longer for this. */
const BUDGET_MS = 20_000;
/** A database that does not answer by then is down as far as alerts are concerned. */
const DECIDE_TIMEOUT_MS = 3_000;

export interface Failure {
  services: Services;
  settings: Partial<Settings>;
  /** Null when the platform's own settings are broken. */
  database: Database | null;
  log: RequestLog;
  requestId: string;
  /** When the request came in, milliseconds since the epoch. */
  startedAt: number;
  state: {
    /** Null: the request failed before it had a row, so nothing in the database tells of it. */
    machineId: string | null;
  };
  error: AppError;
}

/**
 * Counts a failure that has no row, and sends the message that this failure may have been one too
 * many for. Never throws.
 */
export async function afterFailure(failure: Failure): Promise<void> {
  const { services, log } = failure;
  const settings = alertSettings(failure.settings);
  let alerts: Alert[];
  try {
    alerts = await decide(failure, settings);
  } catch (problem) {
    if (settings === null) return;
    // Nobody can be asked whether others have told already, so each isolate keeps its own count;
    // better twice than never.
    return await alertAlone(failure, settings, problem);
  }
  if (settings === null || failure.database === null) return;
  const { runtime, redactor } = services;
  const options = { runtime, redactor, settings, log, caller: failure.database.caller };
  const deadline = Deadline.after(runtime.clock, BUDGET_MS);
  await Promise.all(alerts.map(async (alert) => {
    try {
      await sendAlert(options, alert, deadline);
    } catch (problem) {
      log.afterSummary("The alert's fate could not be noted; reconcile sends it again", problem);
    }
  }));
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

/** Throws when the database cannot be asked. */
async function decide(
  { services, database, state, requestId, startedAt, error }: Failure,
  settings: AlertSettings | null,
): Promise<Alert[]> {
  if (database === null) throw new Error("the database is not configured");
  const { clock } = services.runtime;
  const deadline = Deadline.after(clock, DECIDE_TIMEOUT_MS);
  if (state.machineId === null) {
    await database.caller.rpc(
      "record_failed_request",
      {
        p_request_id: requestId,
        p_error_code: error.code,
        p_duration_ms: Math.max(0, Math.round(clock.now() - startedAt)),
      },
      z.unknown(),
      deadline,
    );
  }
  if (settings === null) return [];
  return await evaluateAlerts({ caller: database.caller, settings }, deadline);
}

async function alertAlone(
  { services, log, requestId, error }: Failure,
  settings: AlertSettings,
  problem: unknown,
): Promise<void> {
  const { runtime, redactor, lastLoneAlertAt } = services;
  const cooldownMs = settings.ALERT_COOLDOWN_MINUTES * 60_000;
  const last = lastLoneAlertAt.get(error.code);
  if (last !== undefined && runtime.clock.now() - last < cooldownMs) return;
  lastLoneAlertAt.set(error.code, runtime.clock.now());
  const message = loneAlertMessage({ code: error.code, error: error.message, requestId });
  const failure = await post(runtime, settings.ALERT_WEBHOOK_URL, message, redactor);
  if (failure === null) return;
  // Not told after all: the next failure tries again.
  lastLoneAlertAt.delete(error.code);
  log.afterSummary(
    "The alert webhook failed, and the database that would remember it too",
    failure,
    {
      alertCode: error.code,
      databaseError: problem instanceof Error ? problem.message : String(problem),
    },
  );
}
