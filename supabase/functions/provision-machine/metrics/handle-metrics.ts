/** GET /provision-machine/metrics: for Prometheus, read from the database in one call. */
import type { RequestContext } from "../http/context.ts";
import { Deadline } from "../time.ts";
import { renderMetrics } from "./render.ts";

const TIMEOUT_MS = 8_000;
/** https://prometheus.io/docs/instrumenting/exposition_formats/ */
const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export async function handleMetrics(
  { isolate, database, environment: { settings } }: RequestContext,
): Promise<Response> {
  const deadline = Deadline.after(isolate.runtime.clock, TIMEOUT_MS);
  const snapshot = await database.observations.readMetrics(deadline);
  const limits = { maxMachines: settings.MAX_MACHINES, poolSize: settings.POOL_SIZE ?? 0 };
  return new Response(renderMetrics(snapshot, limits), {
    headers: { "content-type": CONTENT_TYPE, "cache-control": "no-store" },
  });
}
