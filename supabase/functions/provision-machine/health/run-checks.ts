/** The checks, side by side and each with its own time limit. */
import { type DatabaseHealth, EXPECTED_SCHEMA_VERSION } from "../database/observations.ts";
import type { Platform } from "../config/environment.ts";
import { openFlyClient } from "../fly/client.ts";
import { chooseHosting } from "../hosting/choose-hosting.ts";
import type { OpenContext } from "../http/context.ts";
import { Deadline } from "../time.ts";

const CHECK_TIMEOUT_MS = 3_000;
/** Reconcile is scheduled every minute. */
const RECONCILE_LATE_SECONDS = 5 * 60;
const REQUIRED = ["SUPABASE_URL", "FLY_API_TOKEN", "FLY_APP_NAME", "DOCKER_IMAGE"];

export type Status = "pass" | "warn" | "fail";

export interface Check {
  componentType: "system" | "datastore" | "component";
  status: Status;
  time: string;
  observedValue?: number | string;
  observedUnit?: string;
  /** What is wrong; only where something is. */
  output?: string;
}

export interface HealthReport {
  status: Status;
  description: string;
  version: string;
  /** `RELEASE`, where it is set. */
  releaseId?: string;
  checks: Record<string, Check[]>;
}

type Result = Pick<Check, "status" | "observedValue" | "observedUnit" | "output">;

export async function runChecks(context: OpenContext): Promise<HealthReport> {
  const time = new Date(context.isolate.runtime.clock.now()).toISOString();
  const groups = await Promise.all([
    checkEnvironment(context),
    checkDatabase(context),
    checkFly(context),
  ]);
  const entries = groups.flat().map(([name, componentType, result]): [string, Check[]] => [
    name,
    [{ componentType, time, ...result }],
  ]);
  const checks = Object.fromEntries(entries);
  const { RELEASE: release } = context.environment.settings;
  const statuses = Object.values(checks).flat().map(({ status }) => status);
  return {
    status: statuses.includes("fail") ? "fail" : statuses.includes("warn") ? "warn" : "pass",
    description: "provision-machine",
    version: "1",
    ...(release === undefined ? {} : { releaseId: release }),
    checks,
  };
}

type Named = [name: string, componentType: Check["componentType"], result: Result];

/** Each required setting, every other that is there but malformed, and what should not be missing. */
function checkEnvironment({ environment: { problems, settings } }: OpenContext): Named[] {
  const names = new Set([
    ...REQUIRED,
    settings.SUPABASE_SECRET_KEYS ? "SUPABASE_SECRET_KEYS" : "SUPABASE_SERVICE_ROLE_KEY",
    ...problems.map(({ variable }) => variable),
    "CONNECT_TOKEN_SECRET",
  ]);
  return [...names].map((name) => {
    const problem = problems.find(({ variable }) => variable === name);
    const result: Result = problem
      ? { status: "fail", output: `${name} ${problem.kind}: ${problem.reason}` }
      : name === "CONNECT_TOKEN_SECRET" && settings.CONNECT_TOKEN_SECRET === undefined
      ? { status: "warn", output: `${name} not set: there are no connect tokens` }
      : { status: "pass" };
    return [`environment:${name}`, "system", result];
  });
}

async function checkDatabase({ isolate, database, environment }: OpenContext): Promise<Named[]> {
  if (database === null) {
    return [["database:responseTime", "datastore", { status: "fail", output: "not configured" }]];
  }
  const { clock } = isolate.runtime;
  const startedAt = clock.now();
  let health: DatabaseHealth;
  try {
    health = await database.observations.readHealth(Deadline.after(clock, CHECK_TIMEOUT_MS));
  } catch (error) {
    return [["database:responseTime", "datastore", { status: "fail", output: reason(error) }]];
  }
  const { schema_version, overdue_rows, undelivered_alerts } = health;
  return [
    ["database:responseTime", "datastore", {
      status: "pass",
      observedValue: clock.now() - startedAt,
      observedUnit: "ms",
    }],
    ["database:schemaVersion", "datastore", {
      status: schema_version === EXPECTED_SCHEMA_VERSION ? "pass" : "fail",
      observedValue: schema_version,
      ...(schema_version === EXPECTED_SCHEMA_VERSION
        ? {}
        : { output: `this code expects ${EXPECTED_SCHEMA_VERSION}: run supabase db push` }),
    }],
    ["reconcile:lastRun", "component", reconcileResult(health)],
    ["machines:pastDeadline", "component", {
      status: overdue_rows === 0 ? "pass" : "warn",
      observedValue: overdue_rows,
      observedUnit: "rows",
    }],
    ["machines:withoutRow", "component", {
      status: health.orphans_held === 0 ? "pass" : "fail",
      observedValue: health.orphans_held,
      observedUnit: "machines",
      ...(health.orphans_held === 0
        ? {}
        : { output: "held back from destruction until an operator decides: see the runbook" }),
    }],
    ["database:project", "component", projectResult(health, environment.platform)],
    ...poolCheck(health, environment.settings.POOL_SIZE ?? 0),
    ["alerts:undelivered", "component", {
      status: undelivered_alerts === 0 ? "pass" : "warn",
      observedValue: undelivered_alerts,
      observedUnit: "alerts",
    }],
  ];
}

/** Only where there is to be a pool. Half of it is enough for what comes in a minute or two. */
function poolCheck({ pool_ready: ready }: DatabaseHealth, wanted: number): Named[] {
  if (wanted === 0) return [];
  return [["pool:ready", "component", {
    status: ready * 2 >= wanted ? "pass" : "warn",
    observedValue: ready,
    observedUnit: "machines",
    ...(ready * 2 >= wanted ? {} : { output: `${wanted} are to be ready: see the runbook` }),
  }]];
}

function reconcileResult(
  { reconcile_age_seconds: age, reconcile_problem: problem }: DatabaseHealth,
): Result {
  const late = age === null || age > RECONCILE_LATE_SECONDS;
  const output = age === null
    ? "reconcile has never run: schedule it"
    : problem === "failing"
    ? "everything that reconcile tried in ten minutes has failed: see its log"
    : "reconcile is late: see cron.job_run_details";
  return {
    status: problem !== null ? "fail" : late ? "warn" : "pass",
    ...(age === null ? {} : { observedValue: Math.round(age), observedUnit: "s" }),
    ...(problem !== null || late ? { output } : {}),
  };
}

/** A database that was moved or copied provisions and destroys nothing until an operator says which. */
function projectResult(health: DatabaseHealth, platform: Platform | null): Result {
  const { project_host: owner } = health;
  const here = platform?.projectHost ?? null;
  if (owner === null || here === null || owner === here) return { status: "pass" };
  return {
    status: "fail",
    output:
      `the database belongs to ${owner}: say with installation_moved() or installation_copied()`,
  };
}

/** Cheap authenticated calls: is the token valid for the apps, or for the organisation? */
async function checkFly({ isolate, environment, trace }: OpenContext): Promise<Named[]> {
  const { settings } = environment;
  const { FLY_API_TOKEN, FLY_API_HOSTNAME, FLY_APP_NAME } = settings;
  if (!FLY_API_TOKEN || !FLY_API_HOSTNAME || !FLY_APP_NAME) return [];
  const limit = { FLY_REQUEST_TIMEOUT_SECONDS: CHECK_TIMEOUT_MS / 1_000 };
  const fly = openFlyClient(isolate, { FLY_API_TOKEN, FLY_API_HOSTNAME, ...limit }, trace);
  const { runtime } = isolate;
  const startedAt = runtime.clock.now();
  const deadline = Deadline.after(runtime.clock, CHECK_TIMEOUT_MS);
  const results = await chooseHosting(settings).checkHealth({ runtime, fly, deadline });
  return results.map(({ name, ...result }): Named => [name, "component", {
    ...result,
    ...(result.status === "pass"
      ? { observedValue: runtime.clock.now() - startedAt, observedUnit: "ms" }
      : {}),
  }]);
}

function reason(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}
