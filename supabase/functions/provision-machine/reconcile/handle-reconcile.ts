/**
 * POST /provision-machine/reconcile: repairs what died. Bounded per run, safe to run twice and by
 * any number of isolates at once.
 */
import { ruleOf, webhookOf } from "../alerts/after-failure.ts";
import { post, sendDueAlerts } from "../alerts/alerter.ts";
import { heldOrphansMessage } from "../alerts/message.ts";
import { durationSince } from "../database/machines.ts";
import { z } from "zod/v3";
import { configurationError, otherProject } from "../config/problems.ts";
import { AppError } from "../errors.ts";
import type { EnvironmentProblem } from "../config/environment.ts";
import { openFlyClient } from "../fly/client.ts";
import type { RequestContext } from "../http/context.ts";
import { hostingsToCompare } from "../hosting/choose-hosting.ts";
import { readJsonBody } from "../http/body.ts";
import { jsonResponse } from "../http/responses.ts";
import { Deadline } from "../time.ts";
import { closeDueRows, closeOverdueRows } from "./close-due-rows.ts";
import { compareMachines } from "./compare-machines.ts";
import {
  NO_IDS,
  type OrphanDecision,
  type ReconcileContext,
  reconcileSettings,
} from "./context.ts";
import { emptyPool } from "./empty-pool.ts";
import { expireMachines } from "./expire-machines.ts";
import { fillPool } from "./fill-pool.ts";
import { Report } from "./report.ts";
import { watchRegions } from "./watch-regions.ts";

/** A run is called every minute and ends before the next one begins. */
const BUDGET_MS = 50_000;
/** Kept for recording the run: a slow Fly.io must not look like a database that does not answer. */
const CLOSE_RESERVE_MS = 5_000;

/** Never needed: without it a problem is named. */
const FLY_NOT_CONFIGURED: EnvironmentProblem = {
  variable: "FLY_API_TOKEN",
  kind: "missing",
  reason: "not set",
};

/** Of the run's budget, so that no step starves those behind it. */
const STEP_BUDGETS_MS = {
  expiry: 2_000,
  dueRows: 20_000,
  emptyPool: 10_000,
  comparison: 18_000,
  regions: 3_000,
  alerts: 5_000,
  fillPool: 35_000,
};

export async function handleReconcile(request: RequestContext): Promise<Response> {
  const { isolate, database, requestId, startedAt, log, environment, trace } = request;
  const { runtime } = isolate;
  const orphans = parseDecision(await readJsonBody(request.request, runtime.clock));
  const closeDeadline = new Deadline(runtime.clock, startedAt + BUDGET_MS);
  const deadline = new Deadline(runtime.clock, closeDeadline.at - CLOSE_RESERVE_MS);
  const report = new Report(log);
  const { machines, ownership } = database;
  const projectHost = environment.platform?.projectHost ?? null;
  const { fenced, tag, buckets, orphans_held: orphansHeldBefore } = await ownership
    .beginReconcile(projectHost, deadline);
  if (fenced) throw otherProject();
  const common = { runtime, machines, report, requestId, startedAt, closeDeadline };

  const settings = reconcileSettings(environment);
  if (settings === null) {
    await closeOverdueRows(common);
    report.log();
    throw configurationError(environment.problems[0] ?? FLY_NOT_CONFIGURED);
  }
  const fly = openFlyClient(isolate, settings, trace);
  const context = {
    ...common,
    ownership,
    changes: database.changes,
    pool: database.pool,
    fly,
    settings,
    tag,
    buckets,
    orphans,
    orphansHeldBefore,
    deadline,
  };
  if (!environment.complete) {
    report.fail("a setting is invalid", configurationError(environment.problems[0]), NO_IDS);
  }
  await step(
    { ...context, deadline: deadline.within(STEP_BUDGETS_MS.expiry) },
    "old machines could not be expired",
    expireMachines,
  );
  await step(
    { ...context, deadline: deadline.within(STEP_BUDGETS_MS.dueRows) },
    "the due rows could not be read",
    closeDueRows,
  );
  await step(
    { ...context, deadline: deadline.within(STEP_BUDGETS_MS.emptyPool) },
    "the discarded machines of the warm pool could not be read",
    (limited) => emptyPool(environment, limited),
  );
  await step(
    { ...context, deadline: deadline.within(STEP_BUDGETS_MS.comparison) },
    "the machines could not be compared with their rows",
    (limited) => compareAllApps(request, limited),
  );
  await step(
    { ...context, deadline: deadline.within(STEP_BUDGETS_MS.regions) },
    "Fly.io did not say which regions have room",
    (limited) => watchRegions(database.observations, limited),
  );
  await step(
    { ...context, deadline: deadline.within(STEP_BUDGETS_MS.alerts) },
    "alerts could not be sent",
    (limited) => sendAlerts(request, limited),
  );
  // Last: it may take all that is left of the run.
  await step(
    { ...context, deadline: deadline.within(STEP_BUDGETS_MS.fillPool) },
    "the warm pool could not be filled",
    (limited) => fillPool(request, limited),
  );
  // Before anything else can fail: what was done has to be logged.
  report.log();

  const durationMs = durationSince(startedAt, runtime.clock);
  const run = { requestId, durationMs, counts: report.counts };
  await database.observations.recordReconcileRun(run, closeDeadline);
  return jsonResponse(200, { ...report.counts, actions: report.actions, requestId });
}

/** The failure of one step is reported and does not keep the others from their work. */
async function step(
  context: ReconcileContext,
  whatFailed: string,
  work: (context: ReconcileContext) => Promise<void>,
): Promise<void> {
  try {
    await work(context);
  } catch (error) {
    context.report.fail(whatFailed, error, NO_IDS);
  }
}

async function compareAllApps(
  { isolate, log, environment }: RequestContext,
  context: ReconcileContext,
): Promise<void> {
  const { settings, ownership, deadline, report } = context;
  let held = 0;
  let complete = true;
  for (const hosting of hostingsToCompare(settings, context.buckets)) {
    const heldHere = await compareMachines(context, hosting);
    held += heldHere ?? 0;
    complete &&= heldHere !== null;
  }
  // Machines that could not be seen keep an earlier hold in force.
  if (!complete && held === 0) return;
  const before = await ownership.holdOrphans(held, deadline);
  report.held(held, before);
  const webhookUrl = webhookOf(environment.settings);
  if (held === 0 || before > 0 || webhookUrl === null) return;
  const { runtime, redactor } = isolate;
  const failure = await post({ runtime, redactor, webhookUrl }, heldOrphansMessage(held));
  if (failure) log.errorEvent("The alert webhook failed", failure, { orphansHeld: held });
}

/** Recoveries, and the messages that could not be sent when they were due. */
async function sendAlerts(
  { isolate, database, log, environment: { settings } }: RequestContext,
  { deadline, report }: ReconcileContext,
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

const Body = z.object({ orphans: z.enum(["destroy", "adopt"]).optional() }).strict();

/** Throws {@link AppError} `invalid_request`. */
function parseDecision(body: unknown): OrphanDecision | undefined {
  const parsed = Body.safeParse(body);
  if (parsed.success) return parsed.data.orphans;
  const error = 'The body may only say { "orphans": "destroy" } or { "orphans": "adopt" }';
  throw new AppError("invalid_request", error, {
    fields: { issues: [{ path: "orphans", message: error }] },
  });
}
