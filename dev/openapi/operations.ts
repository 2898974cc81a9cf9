/** Each route: what it takes, what it answers, and the codes of its errors. */
import {
  type ErrorCode,
  PROVISIONING_CODES,
} from "../../supabase/functions/provision-machine/errors.ts";
import type { SchemaName } from "./schemas.ts";

/** Headers of answers that callers may rely on; every answer has `x-request-id`. */
export const HEADERS = {
  "x-request-id": "Show it with an error: operators search the log by it",
  "retry-after": "When a later try can help, in seconds",
  "idempotency-replayed": "true: the answer of an earlier call with the same key",
  "preference-applied": "respond-async",
  "www-authenticate": "Bearer",
  "allow": "The methods of this path",
  "accept": "The media type that is accepted",
  "cache-control": "no-store",
} as const;
export type HeaderName = keyof typeof HEADERS;

/** Headers of requests. */
export const REQUEST_HEADERS = {
  "Idempotency-Key": "A new one for each machine that is wanted",
  "Prefer": "respond-async: answer 202 at once",
  "x-request-id": "Kept and logged if it is valid",
  "traceparent": "A W3C trace to continue",
} as const;
export type RequestHeader = keyof typeof REQUEST_HEADERS;

export interface Operation {
  summary: string;
  /** The body, which may always be left out. */
  request?: SchemaName;
  /** Whether an `Idempotency-Key` and `Prefer` count. */
  keyed?: true;
  answers: Record<number, Success>;
  codes: readonly ErrorCode[];
}

export interface Success {
  description: string;
  schema: SchemaName;
  /** Default `application/json`. */
  mediaType?: string;
  headers?: HeaderName[];
}

const PROVISIONING = Object.keys(PROVISIONING_CODES) as (keyof typeof PROVISIONING_CODES)[];
const FLY = PROVISIONING.filter((code) => code.startsWith("fly_"));
/** What any route can answer that knows its caller. */
const GUARDED = [
  "unauthorized",
  "forbidden",
  "configuration_error",
  "database_error",
  "internal_error",
] as const;
const OF_MACHINE = [...GUARDED, "not_found"] as const;
const OF_BODY = ["invalid_request", "payload_too_large", "unsupported_media_type"] as const;

/** What start, stop and suspend have in common. */
function change(summary: string): Operation {
  return {
    summary,
    answers: { 200: { description: "The machine is in this state", schema: "Machine" } },
    codes: [
      ...OF_MACHINE,
      ...FLY,
      "machine_state_conflict",
      "machine_failed",
      "provision_timeout",
    ],
  };
}

/** By method and path, as in the table of routes. */
export const OPERATIONS: Record<string, Operation> = {
  "POST /": {
    summary: "Provision a machine",
    request: "ProvisionRequest",
    keyed: true,
    answers: {
      200: { description: "The machine runs, or what it is now", schema: "Machine" },
      202: {
        description: "It is being provisioned (Prefer: respond-async)",
        schema: "PendingMachine",
        headers: ["preference-applied"],
      },
    },
    codes: [
      ...OF_BODY,
      ...PROVISIONING,
      "unauthorized",
      "forbidden",
      "machine_limit_reached",
      "machine_state_conflict",
      "idempotency_key_reused",
      "too_many_requests",
      "fleet_full",
      "provisioning_paused",
    ],
  },
  "DELETE /{machineId}": {
    summary: "Destroy a machine; may be repeated",
    answers: { 200: { description: "The machine is gone", schema: "DestroyedMachine" } },
    codes: [...OF_MACHINE, ...FLY, "provision_timeout"],
  },
  "POST /{machineId}/start": change("Start a machine; may be repeated"),
  "POST /{machineId}/stop": change("Stop a machine; may be repeated"),
  "POST /{machineId}/suspend": change("Suspend a machine; may be repeated"),
  "POST /{machineId}/connect": {
    summary: "Get a machine's address and a token for it, valid for a minute",
    answers: {
      200: {
        description: "Where to connect",
        schema: "Connection",
        headers: ["cache-control"],
      },
    },
    codes: [...OF_MACHINE, "machine_state_conflict"],
  },
  "GET /health": {
    summary: "Whether all is well; a service sees every check",
    answers: {
      200: health("pass or warn"),
      503: health("fail"),
    },
    codes: ["internal_error"],
  },
  "GET /metrics": {
    summary: "Metrics for Prometheus",
    answers: {
      200: {
        description: "The metrics",
        schema: "Metrics",
        mediaType: "text/plain",
        headers: ["cache-control"],
      },
    },
    codes: GUARDED,
  },
  "POST /reconcile": {
    summary: "Repair what died; safe to call at any time",
    request: "ReconcileRequest",
    answers: { 200: { description: "What was done", schema: "ReconcileRun" } },
    codes: [...OF_BODY, ...GUARDED],
  },
  "GET /openapi.json": {
    summary: "This document",
    answers: { 200: { description: "OpenAPI 3.1", schema: "OpenApi" } },
    codes: ["internal_error"],
  },
};

function health(description: string): Success {
  return {
    description,
    schema: "Health",
    mediaType: "application/health+json",
    headers: ["cache-control"],
  };
}
