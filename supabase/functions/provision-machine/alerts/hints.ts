import type { RowErrorCode } from "../errors.ts";

/** The first thing to do about each code; the README's runbook has the rest. */
export const HINTS: Readonly<Record<RowErrorCode, string>> = {
  configuration_error:
    "look for CRITICAL ERROR in the function's logs, set the named variable with `supabase secrets set`",
  database_error:
    "check the project's database (status page, connection limits, migrations with `supabase db push`)",
  fly_unauthorized:
    "the Fly.io token is refused: make a new one with `fly tokens create deploy`, set FLY_API_TOKEN",
  fly_rate_limited:
    "more machines are wanted than one Fly app may create: add an app to FLY_APP_NAME or ask Fly.io for a higher limit",
  fly_capacity: "the region is full: set FLY_REGION_FALLBACK=true or choose another FLY_REGION",
  fly_rejected:
    "Fly.io refuses the machine's configuration: check DOCKER_IMAGE, MACHINE_ENV and FLY_APP_NAME",
  fly_unavailable:
    "Fly.io does not answer: see status.flyio.net; what was left behind is cleaned up by reconcile",
  fly_invalid_response:
    "Fly.io answers something unexpected: give the fly-request-id from the log to Fly.io's support",
  machine_failed: "machines do not start: run the image locally and look at `fly logs`",
  provision_timeout:
    "machines start too slowly: make the image smaller or raise PROVISION_TIMEOUT_SECONDS",
  internal_error: "look up the request id in the function's logs; the stack trace is there",
  interrupted:
    "isolates die while provisioning: look at the function's CPU time, memory and wall clock limits",
  machine_lost: "running machines disappear: see who or what destroys them in Fly.io's dashboard",
};
