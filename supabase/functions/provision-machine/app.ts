/**
 * One request from end to end: identify, log, route, authenticate, handle, answer. Whatever is
 * thrown on the way becomes an answer with a code and a log event.
 */
import {
  type Caller,
  callerSecrets,
  type Credentials,
  credentialsOf,
  unauthorized,
} from "./auth/credentials.ts";
import type { Platform } from "./config/environment.ts";
import { requirePlatform } from "./config/problems.ts";
import type { Database } from "./database/database.ts";
import { AppError, isProvisioningErrorCode, toAppError } from "./errors.ts";
import type { HandlerResult, RequestStart } from "./http/context.ts";
import { corsHeaders, preflight } from "./http/cors.ts";
import { pathOf, requestIdOf, traceContextOf } from "./http/headers.ts";
import { errorResponse } from "./http/responses.ts";
import { type GuardedRoute, matchRoute, type Route } from "./http/router.ts";
import type { Isolate } from "./isolate.ts";
import { Measurements } from "./logging/measurements.ts";
import { RequestLog } from "./logging/request-log.ts";
import { sleep } from "./time.ts";

/** A known caller's request that takes longer than a refusal shows that it has begun. */
const HELD_MS = 1_000;

/** The request handler of the function. It never throws and logs every request. */
export function createApp(
  isolate: Isolate,
  routes: readonly Route[],
): (request: Request) => Promise<Response> {
  return async (request) => {
    const start = beginRequest(isolate, request);
    const response = await respond(start, routes);
    // With a broken ALLOWED_ORIGINS every answer is the error that says so; let browsers read it.
    const allowedOrigins = start.environment.settings.ALLOWED_ORIGINS ?? ["*"];
    for (const [name, value] of Object.entries(corsHeaders(request, allowedOrigins))) {
      response.headers.set(name, value);
    }
    response.headers.set("x-request-id", start.requestId);
    return response;
  };
}

function beginRequest(isolate: Isolate, request: Request): RequestStart {
  const { runtime, redactor } = isolate;
  const startedAt = runtime.clock.now();
  const releaseSecrets = redactor.protect(callerSecrets(request.headers));
  const environment = isolate.readEnvironment();
  const trace = traceContextOf(request.headers);
  const requestId = requestIdOf(request.headers, runtime.randomUUID, redactor);
  return {
    request,
    path: pathOf(request),
    requestId,
    trace,
    isolate,
    environment,
    log: new RequestLog(isolate.logger(environment), runtime.clock, requestId, trace?.traceId),
    measurements: new Measurements(runtime.clock),
    startedAt,
    releaseSecrets,
    progress: { machineId: null, provisioning: false, callerKnown: false },
  };
}

async function respond(start: RequestStart, routes: readonly Route[]): Promise<Response> {
  const { request, path, requestId, log, progress, isolate: { runtime, redactor } } = start;
  try {
    log.hold();
    log.invoked(request.method, path);
    const result = await route(start, routes);
    if (result instanceof Response) {
      finish(start, { status: result.status, outcome: "succeeded" });
      return result;
    }
    const { response: { status }, background } = result;
    runtime.waitUntil(background.then(
      (outcome) => finish(start, { status, outcome }),
      (thrown) => finish(start, { status, outcome: "failed", error: toAppError(thrown) }),
    ));
    return result.response;
  } catch (thrown) {
    const error = toAppError(thrown);
    // Before `finish` releases the caller's secrets.
    const response = errorResponse(error, { requestId, machineId: progress.machineId }, redactor);
    finish(start, { status: error.status, outcome: "failed", error });
    return response;
  }
}

/** The end of a request and its work: logs a failure and then, always last, the summary. */
function finish(
  start: RequestStart,
  { status, outcome, error }: { status: number; outcome: string; error?: AppError },
): void {
  const { log, measurements, startedAt, progress, environment, isolate: { runtime } } = start;
  const failed = error !== undefined && isProvisioningErrorCode(error.code);
  if (!mayBeLogged(start, failed, error?.code)) log.discard();
  else {
    if (failed) logFailure(start, error);
    log.summary({
      outcome,
      status,
      code: error?.code,
      fields: {
        ...(error && !failed ? { reason: error.message } : {}),
        ...measurements.report(),
        durationMs: runtime.clock.now() - startedAt,
        release: environment.settings.RELEASE,
      },
    });
  }
  start.releaseSecrets();
  // Without a webhook there may still be a failure to count that has no row.
  const countable = environment.settings.ALERT_WEBHOOK_URL !== undefined ||
    progress.machineId === null;
  if (failed && progress.provisioning && countable) {
    runtime.waitUntil(alertOperators(start, error));
  }
}

/** Whether there is room in the log, where others could take it away with as many requests. */
function mayBeLogged(
  { request, log, progress: { callerKnown }, isolate, environment }: RequestStart,
  failed: boolean,
  code: string | undefined,
): boolean {
  const { heldEvents } = log;
  const didNothing = !callerKnown || (code !== undefined && !failed);
  if (!didNothing) return true;
  const counted = code ?? (request.method === "OPTIONS" ? "preflight" : "anonymous");
  isolate.refusalCounts.add(counted);
  if (heldEvents === undefined) return true;
  const events = heldEvents + (failed ? 2 : 1);
  return isolate.refusals.admit(failed ? "failed" : "refused", counted, events, {
    logger: isolate.logger(environment),
    counts: isolate.refusalCounts,
  });
}

function logFailure(
  { log, progress, environment, measurements }: RequestStart,
  error: AppError,
): void {
  // A machine that failed or came too late is not a failed call, but support will want its id.
  const flyRequestId = measurements.flyRequestIds.findLast((id) => id !== null);
  if (error.code === "configuration_error") {
    log.critical(error, { problems: environment.problems });
  } else if (progress.provisioning) log.provisioningFailed(error, { flyRequestId });
  else log.requestFailed(error, { flyRequestId });
}

/** After responding: alerts operators if this failure crosses a threshold. */
async function alertOperators(start: RequestStart, error: AppError): Promise<void> {
  const { afterFailure } = await import("./alerts/after-failure.ts");
  await afterFailure({ ...start, database: await openDatabaseIfAny(start), error });
}

/** Null when there is no database to be used, for what has to work when nothing else does. */
async function openDatabaseIfAny(
  { isolate, environment: { platform } }: RequestStart,
): Promise<Database | null> {
  if (platform === null) return null;
  return await isolate.openDatabase(platform).catch((error) => {
    isolate.logUnhandled(error);
    return null;
  });
}

async function route(start: RequestStart, routes: readonly Route[]): Promise<HandlerResult> {
  const { request, path, isolate } = start;
  if (request.method === "OPTIONS") {
    isolate.runtime.waitUntil(prepareForNext(start, routes));
    return preflight();
  }
  const { route, parameters } = matchRoute(routes, request.method, path);
  if (route.access === "anyone") {
    const handler = await route.load();
    return await handler({ ...start, parameters, database: await openDatabaseIfAny(start) });
  }
  return await routeGuarded(start, route, parameters);
}

async function routeGuarded(
  start: RequestStart,
  route: GuardedRoute,
  parameters: Record<string, string>,
): Promise<HandlerResult> {
  const { request, isolate, environment, measurements, progress, log } = start;
  const provisioning = route.path === "/";
  // Without the platform's settings no caller can be identified, and every provisioning fails.
  progress.provisioning = provisioning && environment.platform === null;
  const platform = requirePlatform(environment);
  const credentials = credentialsOf(request.headers, platform);
  // While the keys that verify the caller's token are fetched.
  const loading = Promise.all([route.load(), isolate.openDatabase(platform)]);
  loading.catch(() => {/* thrown below, unless the caller is refused first */});
  const caller = await measurements.time(
    "auth",
    () => identify(credentials, platform, isolate),
  );
  progress.provisioning = provisioning;
  progress.callerKnown = true;
  log.releaseWithin(HELD_MS);
  if (route.access === "service" && caller.kind !== "service") {
    throw new AppError("forbidden", "Only a service may do this", {
      hint: "Send one of the project's secret keys as apikey",
    });
  }
  const [handler, database] = await loading;
  return await handler({ ...start, database, caller, parameters });
}

async function identify(
  credentials: Credentials,
  platform: Platform,
  isolate: Isolate,
): Promise<Caller> {
  if (credentials.kind === "service") return credentials;
  if (credentials.kind === "user-token") {
    return { kind: "user", ...await isolate.verifyUserToken(credentials.token, platform) };
  }
  if (await isolate.legacyKeyCounts(platform)) return { kind: "service" };
  throw unauthorized("The project's legacy keys are disabled: send a secret key");
}

/**
 * A browser's preflight is the first request that a new isolate gets, and names the one that
 * follows: its code is loaded while the browser reads the answer.
 */
async function prepareForNext(start: RequestStart, routes: readonly Route[]): Promise<void> {
  const { isolate, request, path, environment: { platform } } = start;
  const method = request.headers.get("access-control-request-method");
  if (platform === null || method === null) return;
  await sleep(isolate.runtime.clock, 0);
  try {
    const { route } = matchRoute(routes, method, path);
    await Promise.all([route.load(), isolate.openDatabase(platform)]);
  } catch {
    // Whatever is wrong is reported to the request itself.
  }
}
