/**
 * GET /provision-machine/health, as application/health+json
 * (https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06). Anyone sees the
 * overall status, a service every check.
 */
import { isLegacyKey, isService } from "../auth/credentials.ts";
import type { Platform } from "../config/environment.ts";
import type { OpenContext } from "../http/context.ts";
import { type Isolate, PerIsolate } from "../isolate.ts";
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
  const body = platform !== null && await maySeeAll(request.headers, platform, isolate)
    ? report
    : { status: report.status };
  return new Response(isolate.redactor.redact(JSON.stringify(body)), {
    status: report.status === "fail" ? 503 : 200,
    headers: { "content-type": "application/health+json", "cache-control": "no-store" },
  });
}

async function maySeeAll(headers: Headers, platform: Platform, isolate: Isolate): Promise<boolean> {
  if (isService(headers, platform.serviceKeys)) return true;
  if (!isLegacyKey(headers, platform)) return false;
  // A gateway that does not answer shows in the overall status, which anyone may see.
  return await isolate.legacyKeyCounts(platform).catch(() => false);
}
