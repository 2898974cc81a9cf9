/**
 * GET /provision-machine/health, as application/health+json
 * (https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06). Anyone sees the
 * overall status, a service every check.
 */
import { isService } from "../auth/credentials.ts";
import type { OpenContext } from "../http/context.ts";
import { PerIsolate } from "../isolate.ts";
import { type HealthReport, runChecks } from "./run-checks.ts";

/** Long enough that this page cannot be used to flood Fly.io, short enough to be current. */
const CACHE_MS = 10_000;

/** The last report, shared by everyone who asks soon after. */
interface CachedHealth {
  report: Promise<HealthReport> | undefined;
  /** Milliseconds since the epoch. */
  madeAt: number;
}

const CACHE = new PerIsolate((): CachedHealth => ({ report: undefined, madeAt: 0 }));

export async function handleHealth(context: OpenContext): Promise<Response> {
  const { isolate, request, environment: { platform } } = context;
  const cache = CACHE.of(isolate);
  const now = isolate.runtime.clock.now();
  if (cache.report === undefined || now - cache.madeAt >= CACHE_MS) {
    cache.report = runChecks(context);
    cache.madeAt = now;
  }
  const report = await cache.report;
  const maySeeAll = platform !== null && isService(request.headers, platform.serviceKeys);
  const body = maySeeAll ? report : { status: report.status };
  return new Response(isolate.redactor.redact(JSON.stringify(body)), {
    status: report.status === "fail" ? 503 : 200,
    headers: { "content-type": "application/health+json", "cache-control": "no-store" },
  });
}
