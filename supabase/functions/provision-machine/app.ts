/**
 * One request from end to end: identify, log, check the environment, route, authenticate, handle,
 * answer. Whatever is thrown on the way becomes an answer with a code and a log event.
 */
import { type Caller, callerSecrets, type Credentials, credentialsOf } from "./auth/credentials.ts";
import { serviceKeys } from "./auth/service-keys.ts";
import { configurationError, hasProblems, platformProblems } from "./config/configuration-error.ts";
import type { EnvironmentProblem, Settings } from "./config/environment.ts";
import type { Database } from "./database/database.ts";
import { AppError, toAppError } from "./errors.ts";
import { corsHeaders, preflight } from "./http/cors.ts";
import { pathOf, requestIdOf, type TraceContext, traceContextOf } from "./http/request-context.ts";
import { errorResponse } from "./http/responses.ts";
import { configureLogging } from "./logging/configure.ts";
import { RequestLog } from "./logging/request-log.ts";
import { Measurements } from "./provisioning/measurements.ts";
import { matchRoute } from "./routes.ts";
import { sleep } from "./runtime.ts";
import type { DatabaseSettings, Services } from "./services.ts";

const SUPABASE_URL_MISSING: EnvironmentProblem = {
  variable: "SUPABASE_URL",
  kind: "missing",
  reason: "not set",
};

/** What a handler knows of its request. */
export interface RequestContext {
  request: Request;
  requestId: string;
  trace: TraceContext | undefined;
  parameters: Record<string, string>;
  /** Checked against the access of the route. */
  caller: Caller;
  services: Services;
  database: Database;
  settings: Partial<Settings>;
  problems: EnvironmentProblem[];
  env: Record<string, string | undefined>;
  log: RequestLog;
  measurements: Measurements;
  startedAt: number;
  state: RequestState;
}

/** What becomes known on the way and is needed again for the answer and the log. */
export interface RequestState {
  /** `machine_id` of the row, once there is one; part of every error answer from then on. */
  machineId: string | null;
  /** A failure from here on is a failure to provision. */
  provisioning: boolean;
}

/** The context of a route that is open to anyone. */
export type OpenContext = Omit<RequestContext, "caller" | "database"> & {
  /** Null when the platform's settings do not lead to one. */
  database: Database | null;
};
type Unrouted = Omit<RequestContext, "caller" | "database" | "parameters">;

/** An answer, and work that goes on after it was sent. */
export interface Accepted {
  response: Response;
  /** Resolves to what became of it, for the summary. */
  background: Promise<string>;
}

export type HandlerResult = Response | Accepted;

type Outcome = { status: number; outcome: string; error?: AppError };

/** The request handler of the function. It never throws and never leaves a request unlogged. */
export function createApp(services: Services): (request: Request) => Promise<Response> {
  return async (request) => {
    const { runtime, redactor } = services;
    const startedAt = runtime.clock.now();
    const trace = traceContextOf(request.headers);
    const releaseSecrets = redactor.protect(callerSecrets(request.headers));
    const { settings, problems, env } = services.readEnvironment();
    const requestId = requestIdOf(request.headers, runtime.randomUUID, redactor);
    const logger = configureLogging(settings, redactor);
    const log = new RequestLog(logger, runtime.clock, requestId, trace?.traceId);
    const measurements = new Measurements(runtime.clock);
    const path = pathOf(request);
    const state: RequestState = { machineId: null, provisioning: false };
    const context: Unrouted = {
      request,
      requestId,
      trace,
      services,
      settings,
      problems,
      env,
      log,
      measurements,
      startedAt,
      state,
    };

    /** Logs the failure, if there is one, and the summary, which is always last. */
    const finish = ({ status, outcome, error }: Outcome) => {
      if (error && error.status >= 500) logFailure(context, error);
      log.summary({
        outcome,
        status,
        code: error?.code,
        fields: {
          ...(error && error.status < 500 ? { reason: error.message } : {}),
          ...measurements.report(),
          durationMs: runtime.clock.now() - startedAt,
        },
      });
      releaseSecrets();
      // Without a webhook there may still be a failure to count that no row tells of.
      const toTell = settings.ALERT_WEBHOOK_URL !== undefined || state.machineId === null;
      if (error && error.status >= 500 && state.provisioning && toTell) {
        runtime.waitUntil(alert(context, error));
      }
    };
    const failed = (thrown: unknown): Response => {
      const error = toAppError(thrown);
      // Before `finish` lets go of the caller's secrets.
      const answer = errorResponse(error, { requestId, machineId: state.machineId }, redactor);
      finish({ status: error.status, outcome: "failed", error });
      return answer;
    };

    let response: Response;
    try {
      log.invoked(request.method, path);
      const result = await route(context, path);
      if (result instanceof Response) {
        response = result;
        finish({ status: result.status, outcome: "succeeded" });
      } else {
        response = result.response;
        const { status } = response;
        runtime.waitUntil(result.background.then(
          (outcome) => finish({ status, outcome }),
          (thrown) => finish({ status, outcome: "failed", error: toAppError(thrown) }),
        ));
      }
    } catch (thrown) {
      response = failed(thrown);
    }
    // With a broken ALLOWED_ORIGINS every answer is the error that says so; let browsers read it.
    for (
      const [name, value] of Object.entries(corsHeaders(request, settings.ALLOWED_ORIGINS ?? ["*"]))
    ) {
      response.headers.set(name, value);
    }
    response.headers.set("x-request-id", requestId);
    return response;
  };
}

function logFailure(
  { log, state, problems, measurements }: Unrouted,
  error: AppError,
): void {
  // A machine that failed or came too late is no failed call, but Fly.io's support asks all the same.
  const flyRequestId = measurements.flyRequestIds.findLast((id) => id !== null);
  if (error.code === "configuration_error") log.critical(error, { problems });
  else if (state.provisioning) log.provisioningFailed(error, { flyRequestId });
  else log.requestFailed(error, { flyRequestId });
}

/** Beside the answer: tells the operators, should this failure be one too many. */
async function alert(context: Unrouted, error: AppError): Promise<void> {
  const { afterFailure } = await import("./alerts/after-failure.ts");
  await afterFailure({ ...context, database: await databaseIfAny(context), error });
}

/** Null when the platform's settings do not lead to a database. */
function databaseSettingsOf({ settings, problems }: Unrouted): DatabaseSettings | null {
  return hasUrl(settings) && !hasProblems(platformProblems(problems)) ? settings : null;
}

/** For what has to work when nothing else does. */
async function databaseIfAny(context: Unrouted): Promise<Database | null> {
  const settings = databaseSettingsOf(context);
  if (settings === null) return null;
  return await context.services.openDatabase(settings).catch((error) => {
    context.services.logUnhandled(error);
    return null;
  });
}

function hasUrl(settings: Partial<Settings>): settings is DatabaseSettings {
  return settings.SUPABASE_URL !== undefined;
}

async function route(context: Unrouted, path: string): Promise<HandlerResult> {
  const { request, services, problems, measurements } = context;
  if (request.method === "OPTIONS") {
    services.runtime.waitUntil(prepareForNext(context, path));
    return preflight();
  }
  const { route, parameters } = matchRoute(request.method, path);
  context.state.provisioning = route.path === "/";

  if (route.access === "anyone") {
    const handler = await route.load();
    return await handler({ ...context, parameters, database: await databaseIfAny(context) });
  }
  const settings = databaseSettingsOf(context);
  if (settings === null) {
    const broken = platformProblems(problems);
    throw configurationError(hasProblems(broken) ? broken : [SUPABASE_URL_MISSING]);
  }
  const credentials = credentialsOf(request.headers, serviceKeys(settings));
  // While the keys that verify the caller's token are fetched.
  const loading = Promise.all([route.load(), services.openDatabase(settings)]);
  loading.catch(() => {/* told below, unless the caller is refused first */});
  const caller = await measurements.time(
    "auth",
    () => callerWith(credentials, services, settings),
  );
  if (route.access === "service" && caller.kind !== "service") {
    throw new AppError("forbidden", "Only a service may do this", {
      message: "Send one of the project's secret keys as apikey",
    });
  }
  const [handler, database] = await loading;
  return await handler({ ...context, database, caller, parameters });
}

async function callerWith(
  credentials: Credentials,
  services: Services,
  settings: DatabaseSettings,
): Promise<Caller> {
  if (credentials.kind === "service") return { kind: "service" };
  return { kind: "user", userId: await services.verifyUserToken(credentials.token, settings) };
}

/**
 * A browser's preflight is the first that a new isolate hears of it, and says what comes next: that
 * is loaded while the browser reads the answer.
 */
async function prepareForNext(context: Unrouted, path: string): Promise<void> {
  const { services, request } = context;
  const settings = databaseSettingsOf(context);
  const method = request.headers.get("access-control-request-method");
  if (settings === null || method === null) return;
  await sleep(services.runtime.clock, 0);
  try {
    await Promise.all([matchRoute(method, path).route.load(), services.openDatabase(settings)]);
  } catch {
    // Whatever is wrong is told to the request itself.
  }
}
