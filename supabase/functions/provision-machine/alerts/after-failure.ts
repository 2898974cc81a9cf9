/** What happens after the answer when provisioning has failed: it is counted, and may alert. */
import type { Settings } from "../config/environment.ts";
import type { Alert, AlertRule, Alerts } from "../database/alerts.ts";
import type { Database } from "../database/database.ts";
import { durationSince } from "../database/machines.ts";
import type { AppError } from "../errors.ts";
import type { RequestStart } from "../http/context.ts";
import { type Isolate, PerIsolate } from "../isolate.ts";
import { Deadline } from "../time.ts";
import { LEASE_MS, post, sendAlert } from "./alerter.ts";
import { loneAlertMessage } from "./message.ts";

/** The answer has been sent; an isolate should not live much longer for this. */
const BUDGET_MS = 20_000;
/** A database that does not answer by then is down as far as alerts are concerned. */
const DECIDE_TIMEOUT_MS = 3_000;

/** When an isolate last alerted without the database: milliseconds since the epoch, by code. */
const LAST_LONE_ALERTS = new PerIsolate(() => new Map<string, number>());

export interface Failure extends RequestStart {
  /** Null when the platform's own settings are broken. */
  database: Database | null;
  error: AppError;
}

/** Counts a failure that has no row, and sends the alert that it may trigger. Never throws. */
export async function afterFailure(failure: Failure): Promise<void> {
  const { isolate, database, log } = failure;
  const { settings } = failure.environment;
  const webhookUrl = webhookOf(settings);
  let due: Alert[];
  try {
    due = await decide(failure, webhookUrl === null ? null : ruleOf(settings));
  } catch (problem) {
    // Without the database each isolate keeps its own count: better two alerts than none.
    if (webhookUrl !== null) await alertAlone(failure, webhookUrl, problem);
    return;
  }
  if (webhookUrl === null || database === null) return;
  await sendAll({ isolate, log, webhookUrl, alerts: database.alerts }, due);
}

/** When an isolate last asked whether an alert is due, in milliseconds since the epoch. */
const LAST_NOTICES = new PerIsolate(() => ({ at: -Infinity }));
/** A busy isolate asks once in that time. */
const NOTICE_EVERY_MS = 60_000;

/**
 * A request has learned that reconcile is in trouble, or that few machines are left, and sends the alert
 * if it is due. Never throws.
 */
export async function afterNotice(
  { isolate, environment, log, database }: RequestStart & { database: Database },
): Promise<void> {
  const { clock } = isolate.runtime;
  const webhookUrl = webhookOf(environment.settings);
  const last = LAST_NOTICES.of(isolate);
  if (webhookUrl === null || clock.now() - last.at < NOTICE_EVERY_MS) return;
  last.at = clock.now();
  try {
    const deadline = Deadline.after(clock, DECIDE_TIMEOUT_MS);
    const rule = ruleOf(environment.settings);
    const due = await database.alerts.evaluate(rule, { leaseMs: LEASE_MS }, deadline);
    await sendAll({ isolate, log, webhookUrl, alerts: database.alerts }, due);
  } catch (problem) {
    log.afterSummary("Whether to alert could not be decided", problem);
  }
}

async function sendAll(
  { isolate, log, webhookUrl, alerts }: Pick<Failure, "isolate" | "log"> & {
    webhookUrl: string;
    alerts: Alerts;
  },
  due: readonly Alert[],
): Promise<void> {
  const { runtime, redactor } = isolate;
  const options = { runtime, redactor, webhookUrl, log, alerts };
  const deadline = Deadline.after(runtime.clock, BUDGET_MS);
  await Promise.all(due.map(async (alert) => {
    try {
      await sendAlert(options, alert, deadline);
    } catch (problem) {
      log.afterSummary(
        "The alert's outcome could not be recorded; reconcile sends it again",
        problem,
      );
    }
  }));
}

/** Where alerts go; null when none are wanted. */
export function webhookOf({ ALERT_WEBHOOK_URL }: Partial<Settings>): string | null {
  return ALERT_WEBHOOK_URL ?? null;
}

/** When to alert: the settings, with their defaults where a value is broken. */
export function ruleOf(settings: Partial<Settings>): AlertRule {
  return {
    threshold: settings.ALERT_FAILURE_THRESHOLD ?? 3,
    windowMs: (settings.ALERT_WINDOW_MINUTES ?? 10) * 60_000,
    cooldownMs: (settings.ALERT_COOLDOWN_MINUTES ?? 30) * 60_000,
    maxMachines: settings.MAX_MACHINES ?? 100,
  };
}

/** Throws when the database cannot be used. `rule`: null when no alerts are wanted. */
async function decide(
  { isolate, database, progress, requestId, startedAt, error }: Failure,
  rule: AlertRule | null,
): Promise<Alert[]> {
  if (database === null) throw new Error("the database is not configured");
  const { clock } = isolate.runtime;
  const deadline = Deadline.after(clock, DECIDE_TIMEOUT_MS);
  if (progress.machineId === null) {
    const failure = {
      call: isolate.runtime.randomUUID(),
      requestId,
      code: error.code,
      durationMs: durationSince(startedAt, clock),
    };
    await database.alerts.recordFailedRequest(failure, deadline);
  }
  return rule === null ? [] : await evaluateInTurn(isolate, database.alerts, rule);
}

/**
 * Each isolate asks Postgres one thing at a time: what fails meanwhile is covered by the next question,
 * which all who wait share. Only who asked gets the messages to send.
 */
async function evaluateInTurn(isolate: Isolate, alerts: Alerts, rule: AlertRule): Promise<Alert[]> {
  const turns = TURNS.of(isolate);
  if (turns.next !== null) {
    await turns.next;
    return [];
  }
  const turn = turns.current.then(() => {
    turns.next = null;
    const deadline = Deadline.after(isolate.runtime.clock, DECIDE_TIMEOUT_MS);
    return alerts.evaluate(rule, { leaseMs: LEASE_MS }, deadline);
  });
  turns.next = turn;
  turns.current = turn.catch(() => {/* each caller gets the error from its own promise */});
  return await turn;
}

interface Turns {
  /** Settles when the question that was asked last is answered. */
  current: Promise<unknown>;
  /** The answer to the next question, if a caller waits for it. */
  next: Promise<unknown> | null;
}

const TURNS = new PerIsolate((): Turns => ({ current: Promise.resolve(), next: null }));

async function alertAlone(
  { isolate, environment, log, progress, error }: Failure,
  webhookUrl: string,
  problem: unknown,
): Promise<void> {
  const { runtime, redactor } = isolate;
  const lastAlerts = LAST_LONE_ALERTS.of(isolate);
  const { cooldownMs } = ruleOf(environment.settings);
  const last = lastAlerts.get(error.code);
  if (last !== undefined && runtime.clock.now() - last < cooldownMs) return;
  lastAlerts.set(error.code, runtime.clock.now());
  const message = loneAlertMessage({
    code: error.code,
    error: error.message,
    machineId: progress.machineId,
  });
  const failure = await post({ runtime, webhookUrl, redactor }, message);
  if (failure === null) return;
  // Not delivered: the next failure tries again.
  lastAlerts.delete(error.code);
  log.afterSummary(
    "The alert webhook failed, and so did the database that would have stored the alert",
    failure,
    {
      alertCode: error.code,
      databaseError: problem instanceof Error ? problem.message : String(problem),
    },
  );
}
