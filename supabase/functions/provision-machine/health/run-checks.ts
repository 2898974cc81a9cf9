/** The checks, side by side and each with its own time limit. */
import { z } from "zod/v3";
import type { OpenContext } from "../app.ts";
import { Deadline, withTimeout } from "../deadline.ts";
import { FlyClient } from "../fly/client.ts";
import { EXPECTED_SCHEMA_VERSION } from "./schema-version.ts";

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
  checks: Record<string, Check[]>;
}

type Result = Pick<Check, "status" | "observedValue" | "observedUnit" | "output">;

export async function runChecks(context: OpenContext): Promise<HealthReport> {
  const time = new Date(context.services.runtime.clock.now()).toISOString();
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
  const statuses = Object.values(checks).flat().map(({ status }) => status);
  return {
    status: statuses.includes("fail") ? "fail" : statuses.includes("warn") ? "warn" : "pass",
    description: "provision-machine",
    version: "1",
    checks,
  };
}

type Named = [name: string, componentType: Check["componentType"], result: Result];

/** Each required setting, and every other that is there but malformed. */
function checkEnvironment({ problems, settings }: OpenContext): Named[] {
  const names = new Set([
    ...REQUIRED,
    settings.SUPABASE_SECRET_KEYS ? "SUPABASE_SECRET_KEYS" : "SUPABASE_SERVICE_ROLE_KEY",
    ...problems.map(({ variable }) => variable),
  ]);
  return [...names].map((name) => {
    const problem = problems.find(({ variable }) => variable === name);
    const result: Result = problem
      ? { status: "fail", output: `${name} ${problem.kind}: ${problem.reason}` }
      : { status: "pass" };
    return [`environment:${name}`, "system", result];
  });
}

const Health = z.object({
  schema_version: z.string(),
  reconcile_age_seconds: z.number().nullable(),
  overdue_rows: z.number(),
  undelivered_alerts: z.number(),
});

async function checkDatabase({ services, database }: OpenContext): Promise<Named[]> {
  if (database === null) {
    return [["database:responseTime", "datastore", { status: "fail", output: "not configured" }]];
  }
  const { clock } = services.runtime;
  const startedAt = clock.now();
  let health: z.output<typeof Health>;
  try {
    const deadline = Deadline.after(clock, CHECK_TIMEOUT_MS);
    health = await database.caller.rpc("read_health", {}, Health, deadline);
  } catch (error) {
    return [["database:responseTime", "datastore", { status: "fail", output: reason(error) }]];
  }
  const { schema_version, reconcile_age_seconds: age, overdue_rows, undelivered_alerts } = health;
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
    ["reconcile:lastRun", "component", {
      status: age !== null && age <= RECONCILE_LATE_SECONDS ? "pass" : "warn",
      ...(age === null
        ? { output: "reconcile has never run: schedule it" }
        : { observedValue: Math.round(age), observedUnit: "s" }),
    }],
    ["machines:pastDeadline", "component", {
      status: overdue_rows === 0 ? "pass" : "warn",
      observedValue: overdue_rows,
      observedUnit: "rows",
    }],
    ["alerts:undelivered", "component", {
      status: undelivered_alerts === 0 ? "pass" : "warn",
      observedValue: undelivered_alerts,
      observedUnit: "alerts",
    }],
  ];
}

/** One cheap authenticated call for each app: is the token valid for it? */
async function checkFly({ services, settings }: OpenContext): Promise<Named[]> {
  const { FLY_API_TOKEN: token, FLY_API_HOSTNAME: baseUrl, FLY_APP_NAME: apps = [] } = settings;
  if (token === undefined || baseUrl === undefined) return [];
  const { runtime } = services;
  const fly = new FlyClient({
    runtime,
    baseUrl,
    token,
    requestTimeoutMs: CHECK_TIMEOUT_MS,
    redact: (text) => services.redactor.redact(text),
  });
  return await Promise.all(apps.map(async (app): Promise<Named> => {
    const startedAt = runtime.clock.now();
    try {
      const deadline = Deadline.after(runtime.clock, CHECK_TIMEOUT_MS);
      await withTimeout(runtime.clock, CHECK_TIMEOUT_MS, (signal) =>
        fly.request({
          method: "GET",
          path: `/apps/${encodeURIComponent(app)}`,
          schema: z.object({ name: z.string().optional() }),
          deadline,
          signal,
        }));
      return [`fly:${app}`, "component", {
        status: "pass",
        observedValue: runtime.clock.now() - startedAt,
        observedUnit: "ms",
      }];
    } catch (error) {
      return [`fly:${app}`, "component", { status: "fail", output: reason(error) }];
    }
  }));
}

function reason(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}
