import type { Settings } from "../config/environment.ts";
import { childTraceparent, type TraceContext } from "../http/request-context.ts";
import type { Services } from "../services.ts";
import { FlyClient } from "./client.ts";

/** A client of the Fly Machines API for one request, whose trace its calls carry on. */
export function makeFlyClient(
  { runtime, redactor }: Pick<Services, "runtime" | "redactor">,
  settings: Pick<Settings, "FLY_API_HOSTNAME" | "FLY_API_TOKEN" | "FLY_REQUEST_TIMEOUT_SECONDS">,
  trace: TraceContext | undefined,
): FlyClient {
  return new FlyClient({
    runtime,
    baseUrl: settings.FLY_API_HOSTNAME,
    token: settings.FLY_API_TOKEN,
    requestTimeoutMs: settings.FLY_REQUEST_TIMEOUT_SECONDS * 1_000,
    redact: (text) => redactor.redact(text),
    traceparent: trace && childTraceparent(trace, runtime.randomBytes(8)),
  });
}
