/**
 * POST /provision-machine/reconcile: repairs what died. Bounded per run, safe to run twice and by
 * any number of isolates at once.
 */
import type { RequestContext } from "../app.ts";
import { configurationError, hasProblems } from "../config/configuration-error.ts";
import type { Settings } from "../config/environment.ts";
import { Deadline } from "../deadline.ts";
import { jsonResponse } from "../http/responses.ts";
import { projectIdentity } from "../provisioning/machine-config.ts";
import { alertSettings } from "../alerts/after-failure.ts";
import { sendDueAlerts } from "../alerts/alerter.ts";
import { closeDueRows } from "./close-due-rows.ts";
import { Report } from "./report.ts";
import { sweepFlyMachines } from "./sweep-fly-machines.ts";
import { findLostMachines } from "./find-lost-machines.ts";

/** A run is called every minute and ends before the next one begins. */
const BUDGET_MS = 50_000;
/** Kept for noting the run: a slow Fly.io must not look like a database that does not answer. */
const CLOSE_RESERVE_MS = 5_000;

/** What the steps of a run share. */
export interface ReconcileContext {
  request: RequestContext;
  settings: Settings;
  deadline: Deadline;
  report: Report;
}

export async function handleReconcile(request: RequestContext): Promise<Response> {
  const { services, database, requestId, startedAt, log, settings, problems } = request;
  if (hasProblems(problems)) throw configurationError(problems);
  const closeDeadline = new Deadline(services.runtime.clock, startedAt + BUDGET_MS);
  const deadline = new Deadline(services.runtime.clock, closeDeadline.at - CLOSE_RESERVE_MS);
  const report = new Report(log);
  const context = { request, settings: settings as Settings, deadline, report };

  await step(context, "the due rows could not be read", () => closeDueRows(context));
  const identity = projectIdentity(context.settings.SUPABASE_URL);
  for (const app of context.settings.FLY_APP_NAME) {
    await step(context, "the machines could not be compared with their rows", async () => {
      const living = await sweepFlyMachines(context, app, identity);
      if (living) await findLostMachines(context, app, living);
    });
  }
  await sendAlerts(context);
  // Before anything else can fail: what was done has to be told.
  report.log();

  const durationMs = services.runtime.clock.now() - startedAt;
  await database.machines.recordReconcileRun(requestId, durationMs, report.counts, closeDeadline);
  return jsonResponse(200, { ...report.counts, actions: report.actions, requestId });
}

/** What fails in one step is told and does not keep the others from their work. */
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
  { request, settings, deadline, report }: ReconcileContext,
): Promise<void> {
  const wanted = alertSettings(settings);
  if (wanted === null) return;
  const { services, database, log } = request;
  try {
    report.counts.alertsSent += await sendDueAlerts({
      runtime: services.runtime,
      redactor: services.redactor,
      caller: database.caller,
      settings: wanted,
      log,
    }, deadline);
  } catch (error) {
    report.fail("alerts could not be sent", error, { machineId: null, flyMachineId: null });
  }
}
