/**
 * provision-machine: gives a signed-in user a cloud machine on Fly.io, and never fails silently.
 * The address comes from the platform, or from `DENO_SERVE_ADDRESS` elsewhere.
 */
import { createApp } from "./app.ts";
import { Isolate } from "./isolate.ts";
import { IN_FLIGHT } from "./provision/in-flight.ts";
import { ROUTES } from "./routes.ts";
import { platformRuntime } from "./runtime.ts";

const isolate = new Isolate(platformRuntime);

// The platform sends this before it ends an isolate, whatever the reason.
// https://supabase.com/docs/guides/functions/background-tasks
addEventListener("beforeunload", (event) => {
  const { detail } = event as Event & { detail?: { reason?: unknown } };
  const reason = typeof detail?.reason === "string" ? detail.reason : "unknown";
  platformRuntime.waitUntil(isolate.refusalCounts.flush());
  platformRuntime.waitUntil(IN_FLIGHT.of(isolate).handOver(reason, platformRuntime.clock));
});

// An unhandled rejection must not end the isolate, and with it other callers' requests.
addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  isolate.logUnhandled(event.reason);
});

Deno.serve(createApp(isolate, ROUTES));
