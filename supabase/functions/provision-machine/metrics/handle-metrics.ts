/** GET /provision-machine/metrics: what Prometheus scrapes, read from the database in one call. */
import type { RequestContext } from "../app.ts";
import { Deadline } from "../deadline.ts";
import { renderMetrics } from "./render.ts";
import { MetricsSnapshot } from "./snapshot.ts";

const TIMEOUT_MS = 8_000;
/** https://prometheus.io/docs/instrumenting/exposition_formats/ */
const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export async function handleMetrics({ services, database }: RequestContext): Promise<Response> {
  const deadline = Deadline.after(services.runtime.clock, TIMEOUT_MS);
  const snapshot = await database.caller.rpc("read_metrics", {}, MetricsSnapshot, deadline);
  return new Response(renderMetrics(snapshot), {
    headers: { "content-type": CONTENT_TYPE, "cache-control": "no-store" },
  });
}
