/**
 * GET /provision-machine/health, as application/health+json
 * (https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06). Anyone sees the
 * overall status, a service every check.
 */
import type { OpenContext } from "../app.ts";
import { isService } from "../auth/credentials.ts";
import { serviceKeys } from "../auth/service-keys.ts";
import type { HealthReport } from "./run-checks.ts";
import { runChecks } from "./run-checks.ts";

/** Long enough that nobody can use this page to hammer Fly.io, short enough to be news. */
const CACHE_MS = 10_000;

/** The answer of the last seconds, kept by the isolate and shared by everybody who asks meanwhile. */
export interface CachedHealth {
  madeAt: number;
  report: Promise<HealthReport>;
}

export async function handleHealth(context: OpenContext): Promise<Response> {
  const { services, request, settings, database } = context;
  const now = services.runtime.clock.now();
  if (services.health === undefined || now - services.health.madeAt >= CACHE_MS) {
    services.health = { madeAt: now, report: runChecks(context) };
  }
  const report = await services.health.report;
  const maySeeAll = database !== null && isService(request.headers, serviceKeys(settings));
  const body = maySeeAll ? report : { status: report.status };
  return new Response(services.redactor.redact(JSON.stringify(body)), {
    status: report.status === "fail" ? 503 : 200,
    headers: { "content-type": "application/health+json", "cache-control": "no-store" },
  });
}
