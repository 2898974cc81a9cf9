/**
 * Sends what Postgres decided upon. Every message is stored before it is sent, so if this request
 * dies, reconcile sends it later.
 */
import type { Alert, AlertRule, Alerts } from "../database/alerts.ts";
import type { Redactor } from "../logging/redactor.ts";
import type { RequestLog } from "../logging/request-log.ts";
import type { Runtime } from "../runtime.ts";
import { type Deadline, withTimeout } from "../time.ts";
import { alertMessage, type WebhookMessage } from "./message.ts";

/** While this request sends a message itself, reconcile leaves it alone. */
export const LEASE_MS = 30_000;
const DUE_PER_RUN = 5;
/** Half a day of attempts; after that the message stays in the table. */
const MAX_ATTEMPTS = 20;
const RETRY = { baseMs: 60_000, capMs: 3_600_000 };
const WEBHOOK_TIMEOUT_MS = 5_000;

export interface AlerterOptions {
  runtime: Pick<Runtime, "clock" | "fetch">;
  alerts: Alerts;
  webhookUrl: string;
  redactor: Redactor;
  log: RequestLog;
}

/**
 * In reconcile: recoveries, and what could not be sent before. Returns how many were sent. Throws
 * {@link AppError} `database_error`.
 */
export async function sendDueAlerts(
  options: AlerterOptions,
  rule: AlertRule,
  deadline: Deadline,
): Promise<number> {
  const fresh = await options.alerts.evaluate(
    rule,
    { leaseMs: LEASE_MS, byReconcile: true },
    deadline,
  );
  const due = await options.alerts.takeDue(DUE_PER_RUN, LEASE_MS, deadline);
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
  const { alerts, redactor, log } = options;
  const failure = await post(options, alertMessage(alert));
  if (failure === null) {
    await alerts.markDelivered(alert.id, deadline);
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
  const retryInMs = givenUp ? null : Math.min(RETRY.capMs, RETRY.baseMs * 2 ** (attempt - 1));
  const reason = redactor.redact(failure.message);
  await alerts.markFailed(alert.id, { reason, retryInMs }, deadline);
  return false;
}

/** Posts one message. Returns why it was not accepted, or null. Never throws. */
export async function post(
  { runtime, webhookUrl, redactor }: Pick<AlerterOptions, "runtime" | "webhookUrl" | "redactor">,
  message: WebhookMessage,
): Promise<Error | null> {
  try {
    return await withTimeout(runtime.clock, WEBHOOK_TIMEOUT_MS, async (signal) => {
      const response = await runtime.fetch(webhookUrl, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: redactor.redact(JSON.stringify(message)),
        // The address is a secret, and a redirect leads to a receiver that was not configured.
        redirect: "manual",
        signal,
      });
      await response.body?.cancel();
      return response.ok ? null : new Error(`the webhook answered ${response.status}`);
    });
  } catch (error) {
    return new Error(withoutUrl(error, webhookUrl));
  }
}

/** The reason without the address: Deno's errors quote it, and anyone who has it can post. */
function withoutUrl(error: unknown, url: string): string {
  const reason = error instanceof Error ? error.message : String(error);
  return reason.replaceAll(url, "the webhook").replace(/https?:\/\/[^\s)]+/g, "the webhook");
}
