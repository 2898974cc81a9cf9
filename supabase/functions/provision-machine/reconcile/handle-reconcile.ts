/**
 * POST /provision-machine/reconcile: repairs what died. Bounded per run, safe to run twice and by
 * any number of isolates at once.
 */
import { ruleOf, webhookOf } from "../alerts/after-failure.ts";
import { sendDueAlerts } from "../alerts/alerter.ts";
import { requireSettings } from "../config/problems.ts";
import { openFlyClient } from "../fly/client.ts";
import type { RequestContext } from "../http/context.ts";
import { jsonResponse } from "../http/responses.ts";
import { Deadline } from "../time.ts";
import { closeDueRows } from "./close-due-rows.ts";
import type { ReconcileContext } from "./context.ts";
import { findLostMachines } from "./find-lost-machines.ts";
import { Report } from "./report.ts";
import { sweepFlyMachines } from "./sweep-fly-machines.ts";

/** A run is called every minute and ends before the next one begins. */
const BUDGET_MS = 50_000;
/** Kept for recording the run: a slow Fly.io must not look like a database that does not answer. */
const CLOSE_RESERVE_MS = 5_000;

export async function handleReconcile(request: RequestContext): Promise<Response> {
  const { isolate, database, requestId, startedAt, log, environment, trace } = request;
  const settings = requireSettings(environment);
  const { runtime } = isolate;
  const closeDeadline = new Deadline(runtime.clock, startedAt + BUDGET_MS);
  const deadline = new Deadline(runtime.clock, closeDeadline.at - CLOSE_RESERVE_MS);
  const report = new Report(log);
  const fly = openFlyClient(isolate, settings, trace);
  const { machines } = database;
  const context = { runtime, machines, fly, settings, deadline, report, requestId, startedAt };

  await step(context, "the due rows could not be read", () => closeDueRows(context));
  for (const app of settings.FLY_APP_NAME) {
    await step(context, "the machines could not be compared with their rows", async () => {
      const living = await sweepFlyMachines(context, app);
      if (living) await findLostMachines(context, app, living);
    });
  }
  await step(context, "alerts could not be sent", () => sendAlerts(request, context));
  // Before anything else can fail: what was done has to be logged.
  report.log();

  const durationMs = runtime.clock.now() - startedAt;
  const run = { requestId, durationMs, counts: report.counts };
  await database.observations.recordReconcileRun(run, closeDeadline);
  return jsonResponse(200, { ...report.counts, actions: report.actions, requestId });
}

/** The failure of one step is reported and does not keep the others from their work. */
async function step(
  { report }: ReconcileContext,
  whatFailed: string,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    report.fail(whatFailed, error, { machineId: null, flyMachineId: null });
  }
}

/** Recoveries, and the messages that could not be sent when they were due. */
async function sendAlerts(
  { isolate, database, log }: RequestContext,
  { settings, deadline, report }: ReconcileContext,
): Promise<void> {
  const webhookUrl = webhookOf(settings);
  if (webhookUrl === null) return;
  report.counts.alertsSent += await sendDueAlerts(
    {
      runtime: isolate.runtime,
      redactor: isolate.redactor,
      alerts: database.alerts,
      webhookUrl,
      log,
    },
    ruleOf(settings),
    deadline,
  );
}
