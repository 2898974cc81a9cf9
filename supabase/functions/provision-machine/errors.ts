/**
 * Every error that a caller can see: one type, and one table with the facts of each code. Answers,
 * rows, alerts, the documents and the console are checked against this table.
 */

/**
 * Whether sending the request again can help. `same_key`: its outcome is not known yet, and the same
 * `Idempotency-Key` tells it. `new_key`: a later try can succeed, as a new request. `no`: not before
 * the caller or the operators have changed something.
 */
export const RETRIES = ["same_key", "new_key", "no"] as const;
export type Retry = (typeof RETRIES)[number];

/** What is known of an error code, whatever caused it. */
export interface CodeFacts {
  /** HTTP status of the answer. */
  status: number;
  /** Never `same_key`: whether the outcome is known depends on the failure, not on its code. */
  retry: Exclude<Retry, "same_key">;
  /** When a later try can help: in how many seconds. */
  retryAfterSeconds?: number;
  /** What the caller can do: the answer's `message`, unless the error says something better. */
  callerHint: string;
  /** The first thing for an operator to do; the runbook has the rest. */
  operatorHint?: string;
}

/** Codes of refusals, most of them for the caller's own mistake: no row is written. */
export const CALLER_CODES = {
  invalid_request: {
    status: 400,
    retry: "no",
    callerHint: "Correct the request and send it again",
  },
  unauthorized: { status: 401, retry: "no", callerHint: "Sign in and send a current access token" },
  forbidden: {
    status: 403,
    retry: "no",
    callerHint: "Act for the signed-in user, or send a secret key",
  },
  not_found: { status: 404, retry: "no", callerHint: "Check the path and the machineId" },
  method_not_allowed: { status: 405, retry: "no", callerHint: "Use a method that Allow names" },
  machine_limit_reached: {
    status: 409,
    retry: "no",
    callerHint: "Use your existing machine or destroy it first",
  },
  machine_state_conflict: {
    status: 409,
    retry: "no",
    callerHint: "The state of the machine does not allow this",
  },
  payload_too_large: { status: 413, retry: "no", callerHint: "Send a smaller body" },
  unsupported_media_type: {
    status: 415,
    retry: "no",
    callerHint: "Send the body with Content-Type: application/json",
  },
  idempotency_key_reused: {
    status: 422,
    retry: "new_key",
    callerHint: "Send the original request again, or a new key",
  },
  too_many_requests: {
    status: 429,
    retry: "new_key",
    callerHint: "Wait until Retry-After has passed",
  },
  fleet_full: {
    status: 503,
    retry: "new_key",
    retryAfterSeconds: 60,
    callerHint: "All machines of this service are in use; try again later",
  },
  provisioning_paused: {
    status: 503,
    retry: "no",
    callerHint: "Its operators have paused the provisioning of new machines",
  },
} as const satisfies Record<string, CodeFacts>;

/** Codes of failures that are ours, Supabase's or Fly.io's. Each closes its row as `error`. */
export const PROVISIONING_CODES = {
  configuration_error: {
    status: 500,
    retry: "no",
    callerHint: "The server is not configured correctly; its operators have to correct that",
    operatorHint:
      "look for CRITICAL ERROR in the function's logs, set the named variable with `supabase secrets set`",
  },
  database_error: {
    status: 500,
    retry: "new_key",
    retryAfterSeconds: 10,
    callerHint: "The database did not answer as it should; try again shortly",
    operatorHint:
      "check the project's database (status page, connection limits, migrations with `supabase db push`)",
  },
  fly_unauthorized: {
    status: 500,
    retry: "no",
    callerHint: "Server configuration error - Fly.io does not accept FLY_API_TOKEN for this app",
    operatorHint:
      "the Fly.io token is refused: make a new one with `fly tokens create deploy`, set FLY_API_TOKEN",
  },
  fly_rate_limited: {
    status: 500,
    retry: "new_key",
    retryAfterSeconds: 5,
    callerHint: "Fly.io is limiting how fast machines are created; try again shortly",
    operatorHint:
      "more machines are wanted than one Fly app may create: add an app to FLY_APP_NAME or ask Fly.io for a higher limit",
  },
  fly_capacity: {
    status: 500,
    retry: "new_key",
    retryAfterSeconds: 60,
    callerHint: "The region has no capacity for this machine; try again later or in another region",
    operatorHint: "the region is full: set FLY_REGION_FALLBACK=true or choose another FLY_REGION",
  },
  fly_account_limit: {
    status: 500,
    retry: "no",
    callerHint: "Fly.io gives this service no more machines; its operators have to settle that",
    operatorHint:
      "Fly.io wants a payment or the organisation is at its limit: see its billing page, or ask billing@fly.io for more machines",
  },
  fly_rejected: {
    status: 500,
    retry: "no",
    callerHint: "Fly.io refused the machine's configuration",
    operatorHint:
      "Fly.io refuses the machine's configuration: check DOCKER_IMAGE, MACHINE_ENV and FLY_APP_NAME",
  },
  fly_unavailable: {
    status: 500,
    retry: "new_key",
    retryAfterSeconds: 10,
    callerHint: "Fly.io could not be reached or failed; try again shortly",
    operatorHint:
      "Fly.io does not answer: see status.flyio.net; what was left behind is cleaned up by reconcile",
  },
  fly_invalid_response: {
    status: 500,
    retry: "new_key",
    retryAfterSeconds: 10,
    callerHint: "Fly.io answered something that could not be understood; try again shortly",
    operatorHint:
      "Fly.io answers something unexpected: give the fly-request-id from the log to Fly.io's support",
  },
  machine_failed: {
    status: 500,
    retry: "new_key",
    callerHint: "The machine failed to start; check its image and its logs at Fly.io",
    operatorHint: "machines do not start: run the image locally and look at `fly logs`",
  },
  provision_timeout: {
    status: 500,
    retry: "new_key",
    retryAfterSeconds: 10,
    callerHint: "The machine did not start in time and was given up; try again",
    operatorHint:
      "machines start too slowly: make the image smaller or raise PROVISION_TIMEOUT_SECONDS",
  },
  internal_error: {
    status: 500,
    retry: "new_key",
    callerHint: "The failure was logged under this request id",
    operatorHint: "look up the request id in the function's logs; the stack trace is there",
  },
} as const satisfies Record<string, CodeFacts & { operatorHint: string }>;

/** Codes that only reconcile writes to a row; no answer has them. */
export const RECONCILE_CODES = {
  interrupted: {
    operatorHint:
      "isolates die while provisioning: look at the function's CPU time, memory and wall clock limits",
  },
  machine_lost: {
    operatorHint: "running machines disappear: see who or what destroys them in Fly.io's dashboard",
  },
} as const satisfies Record<string, { operatorHint: string }>;

/** Codes of events that are no failure of a request and leave the row as it is. */
export const EVENT_CODES = {
  machine_stopped: {
    operatorHint: "machines stop without a request: see stop_reason in their rows, and `fly logs`",
  },
  reconcile_never: {
    operatorHint: "reconcile has never run: put its URL and key into Vault, see docs/OPERATIONS.md",
  },
  reconcile_late: {
    operatorHint: "see cron.job_run_details: its newest runs say why reconcile is not called",
  },
  fleet_filling: {
    operatorHint:
      "see who uses them (the view machine_usage), raise MAX_MACHINES, or lower the limits of users",
  },
  fleet_full: {
    operatorHint:
      "no new machines are made: raise MAX_MACHINES, or destroy machines that are not needed",
  },
  reconcile_failing: {
    operatorHint: "see the newest runs of reconcile in the function's logs",
  },
} as const satisfies Record<string, { operatorHint: string }>;

export type CallerErrorCode = keyof typeof CALLER_CODES;
export type ProvisioningErrorCode = keyof typeof PROVISIONING_CODES;
export type ErrorCode = CallerErrorCode | ProvisioningErrorCode;
/** What `cloud_machines.error_code` can hold. */
export type RowErrorCode = ProvisioningErrorCode | keyof typeof RECONCILE_CODES;

/** Every code that an answer can have. */
export const CODES: Readonly<Record<ErrorCode, CodeFacts>> = {
  ...CALLER_CODES,
  ...PROVISIONING_CODES,
};

/** Whether a code is one of those that answer HTTP 500 and close the row as `error`. */
export function isProvisioningErrorCode(code: string): code is ProvisioningErrorCode {
  return Object.hasOwn(PROVISIONING_CODES, code);
}

/** Whether a code can stand in a row. */
export function isRowErrorCode(code: string): code is RowErrorCode {
  return isProvisioningErrorCode(code) || Object.hasOwn(RECONCILE_CODES, code);
}

const OPERATOR_HINTS: ReadonlyMap<string, { operatorHint: string }> = new Map(
  Object.entries({ ...PROVISIONING_CODES, ...RECONCILE_CODES, ...EVENT_CODES }),
);

/** The first thing for an operator to do about the code of a row or an event. */
export function operatorHint(code: string): string {
  return (OPERATOR_HINTS.get(code) ?? PROVISIONING_CODES.internal_error).operatorHint;
}

export interface AppErrorOptions {
  /** What the caller can do; defaults to the code's own. */
  hint?: string;
  /** When a later try can help, in how many seconds; defaults to the code's own. */
  retryAfterSeconds?: number;
  /** Defaults to `new_key` with a `retryAfterSeconds` of this error's own, else to the code's. */
  retry?: Retry;
  /** Fields that the answer carries besides the common ones, such as `issues`. */
  fields?: Record<string, unknown>;
  /** Response headers that go with this error, such as `Allow`. */
  headers?: Record<string, string>;
  cause?: unknown;
}

/** A failure with a code: `message` is the answer's `error`, `hint` its `message`. */
export class AppError extends Error {
  override name = "AppError";
  readonly hint: string;
  readonly retryAfterSeconds: number | undefined;
  readonly retry: Retry;
  readonly fields: Record<string, unknown>;
  readonly headers: Record<string, string>;

  constructor(readonly code: ErrorCode, error: string, options: AppErrorOptions = {}) {
    super(error, { cause: options.cause });
    this.hint = options.hint ?? CODES[code].callerHint;
    this.retryAfterSeconds = options.retryAfterSeconds ?? CODES[code].retryAfterSeconds;
    // To say when to try again is to say that it can help.
    const known = options.retryAfterSeconds === undefined ? CODES[code].retry : "new_key";
    this.retry = options.retry ?? known;
    this.fields = options.fields ?? {};
    this.headers = options.headers ?? {};
  }

  /** The HTTP status of the answer. */
  get status(): number {
    return CODES[this.code].status;
  }

  /** The same error with other details; what is not named stays, and so does the stack's origin. */
  with(changes: Omit<AppErrorOptions, "cause">): AppError {
    const { hint, retry, fields, headers, retryAfterSeconds } = this;
    return new AppError(this.code, this.message, {
      hint,
      retry,
      fields,
      headers,
      ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
      ...changes,
      cause: this.cause ?? this,
    });
  }
}

/** A failed call to an upstream, which knows its code and what the log should say about it. */
export abstract class UpstreamError extends Error {
  abstract readonly code: ProvisioningErrorCode;

  /** Fields for the log, beside name, message and stack. */
  logFields(): Record<string, unknown> {
    return {};
  }
}

/**
 * Makes an {@link AppError} of whatever was thrown. What was not foreseen becomes `internal_error`;
 * its own message stays in the log, since it may speak of our insides.
 */
export function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  return new AppError("internal_error", "An unexpected error happened", { cause: thrown });
}
