/**
 * Sends what Postgres decided to send. Nothing here delays or changes a caller's answer, and a
 * webhook that fails is logged and tried again by reconcile.
 */
import { z } from "zod";
import type { Settings } from "../config/environment.ts";
import type { DatabaseCaller } from "../database/caller.ts";
import { Deadline, withTimeout } from "../deadline.ts";
import type { Redactor } from "../logging/redactor.ts";
import type { RequestLog } from "../logging/request-log.ts";
import type { Runtime } from "../runtime.ts";
import { alertMessage, type WebhookMessage } from "./message.ts";
import { Alert } from "./rows.ts";

const WEBHOOK_TIMEOUT_MS = 5_000;
const BUDGET_MS = 20_000;
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

/** After a failure: sends the message that it may have been one too many for. Never throws. */
export async function alertOnFailure(options: AlerterOptions): Promise<void> {
  const deadline = Deadline.after(options.runtime.clock, BUDGET_MS);
  try {
    await Promise.all(
      (await evaluate(options, deadline)).map((alert) => send(options, alert, deadline)),
    );
  } catch (error) {
    options.log.afterSummary("The alert could not be decided; reconcile will", error);
  }
}

/** In reconcile: recoveries, and what could not be sent before. Returns how many were sent. */
export async function sendDueAlerts(options: AlerterOptions, deadline: Deadline): Promise<number> {
  const fresh = await evaluate(options, deadline);
  const due = await options.caller.rpc(
    "take_due_alerts",
    { p_limit: DUE_PER_RUN, p_lease_ms: LEASE_MS },
    z.array(Alert),
    deadline,
  );
  const sent = await Promise.all(
    [...fresh, ...due].map((alert) => send(options, alert, deadline)),
  );
  return sent.filter(Boolean).length;
}

function evaluate({ caller, settings }: AlerterOptions, deadline: Deadline): Promise<Alert[]> {
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

async function send(options: AlerterOptions, alert: Alert, deadline: Deadline): Promise<boolean> {
  const { runtime, caller, settings, redactor, log } = options;
  const failure = await post(runtime, settings.ALERT_WEBHOOK_URL, alertMessage(alert), redactor);
  if (failure === null) {
    await caller.rpc("finish_alert", { p_id: alert.id }, z.unknown(), deadline);
    return true;
  }
  const attempt = alert.attempts + 1;
  log.afterSummary("The alert webhook failed; reconcile tries again", failure, {
    kind: alert.kind,
    attempt,
  });
  await caller.rpc(
    "finish_alert",
    {
      p_id: alert.id,
      p_error: redactor.redact(failure.message),
      ...(attempt < MAX_ATTEMPTS
        ? { p_retry_in_ms: Math.min(RETRY.capMs, RETRY.baseMs * 2 ** (attempt - 1)) }
        : {}),
    },
    z.unknown(),
    deadline,
  );
  return false;
}

/** Posts a message. Returns why it was not accepted, or null. Never throws. */
export async function post(
  runtime: Pick<Runtime, "clock" | "fetch">,
  url: string,
  message: WebhookMessage,
  redactor: Redactor,
): Promise<Error | null> {
  try {
    return await withTimeout(runtime.clock, WEBHOOK_TIMEOUT_MS, async (signal) => {
      const response = await runtime.fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: redactor.redact(JSON.stringify(message)),
        signal,
      });
      await response.body?.cancel();
      return response.ok ? null : new Error(`the webhook answered ${response.status}`);
    });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
