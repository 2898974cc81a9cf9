/**
 * provision-machine: gives a signed-in user a cloud machine on Fly.io, and never fails silently.
 * The address comes from the platform, or from `DENO_SERVE_ADDRESS` elsewhere.
 */
import { createApp } from "./app.ts";
import { platformRuntime } from "./runtime.ts";
import { Services } from "./services.ts";

const services = new Services(platformRuntime);

// The platform says so before it ends an isolate, whatever the reason.
// https://supabase.com/docs/guides/functions/background-tasks
addEventListener("beforeunload", (event) => {
  const { detail } = event as Event & { detail?: { reason?: unknown } };
  const reason = typeof detail?.reason === "string" ? detail.reason : "unknown";
  platformRuntime.waitUntil(services.unfinished.handOver(reason, platformRuntime.clock));
});

// A rejection that nobody awaited must not end the isolate, and with it other people's requests.
addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  services.logUnhandled(event.reason);
});

Deno.serve(createApp(services));
