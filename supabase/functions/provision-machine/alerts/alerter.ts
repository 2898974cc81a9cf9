/**
 * Sends what Postgres decided upon. Every message is written down before it is sent, so whatever
 * dies here, reconcile sends it later.
 */
import { z } from "zod/v3";
import type { Settings } from "../config/environment.ts";
import type { DatabaseCaller } from "../database/caller.ts";
import type { Deadline } from "../deadline.ts";
import type { Redactor } from "../logging/redactor.ts";
import type { RequestLog } from "../logging/request-log.ts";
import type { Runtime } from "../runtime.ts";
import { alertMessage } from "./message.ts";
import { post } from "./post.ts";
import { Alert } from "./rows.ts";

/** While the caller sends a message itself, reconcile leaves it alone. */
const LEASE_MS = 30_000;
const DUE_PER_RUN = 5;
/** Half a day of trying; by then somebody has noticed, or reads it in the table. */
const MAX_ATTEMPTS = 20;
const RETRY = { baseMs: 60_000, capMs: 3_600_000 };

export interface AlerterOptions {
  runtime: Pick<Runtime, "clock" | "fetch">;
  caller: DatabaseCaller;
  settings: AlertSettings;
  redactor: Redactor;
  log: RequestLog;
}

export type AlertSettings =
  & Pick<Settings, "ALERT_FAILURE_THRESHOLD" | "ALERT_WINDOW_MINUTES" | "ALERT_COOLDOWN_MINUTES">
  & { ALERT_WEBHOOK_URL: string };

/**
 * Decides in Postgres, under a lock, which messages have to be sent now. Each is leased to this
 * caller. Throws {@link AppError} `database_error`.
 */
export function evaluateAlerts(
  { caller, settings }: Pick<AlerterOptions, "caller" | "settings">,
  deadline: Deadline,
): Promise<Alert[]> {
  return caller.rpc(
    "evaluate_alerts",
    {
      p_threshold: settings.ALERT_FAILURE_THRESHOLD,
      p_window_ms: Math.round(settings.ALERT_WINDOW_MINUTES * 60_000),
      p_cooldown_ms: Math.round(settings.ALERT_COOLDOWN_MINUTES * 60_000),
      p_lease_ms: LEASE_MS,
    },
    z.array(Alert),
    deadline,
  );
}

/**
 * In reconcile: recoveries, and what could not be sent before. Returns how many were sent. Throws
 * {@link AppError} `database_error`.
 */
export async function sendDueAlerts(options: AlerterOptions, deadline: Deadline): Promise<number> {
  const fresh = await evaluateAlerts(options, deadline);
  const due = await options.caller.rpc(
    "take_due_alerts",
    { p_limit: DUE_PER_RUN, p_lease_ms: LEASE_MS },
    z.array(Alert),
    deadline,
  );
  let sent = 0;
  // One after the other, in the order in which they were decided.
  for (const alert of [...due, ...fresh]) {
    if (!await sendAlert(options, alert, deadline)) break;
    sent++;
  }
  return sent;
}

/** Returns whether the webhook took it. Throws {@link AppError} `database_error`. */
export async function sendAlert(
  options: AlerterOptions,
  alert: Alert,
  deadline: Deadline,
): Promise<boolean> {
  const { runtime, caller, settings, redactor, log } = options;
  const failure = await post(runtime, settings.ALERT_WEBHOOK_URL, alertMessage(alert), redactor);
  if (failure === null) {
    await caller.rpc("finish_alert", { p_id: alert.id }, z.unknown(), deadline);
    return true;
  }
  const attempt = alert.attempts + 1;
  const givenUp = attempt >= MAX_ATTEMPTS;
  log.afterSummary(
    givenUp
      ? "The alert webhook failed for the last time"
      : "The alert webhook failed; reconcile tries again",
    failure,
    { kind: alert.kind, event: alert.event, attempt },
  );
  await caller.rpc(
    "finish_alert",
    {
      p_id: alert.id,
      p_error: redactor.redact(failure.message),
      ...(givenUp ? {} : {
        p_retry_in_ms: Math.min(RETRY.capMs, RETRY.baseMs * 2 ** (attempt - 1)),
      }),
    },
    z.unknown(),
    deadline,
  );
  return false;
}
