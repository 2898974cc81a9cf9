/**
 * Every error that a caller can see. One type, one list of codes; the HTTP status follows from
 * the code.
 */

/** Codes of answers that blame the caller: nothing was created and no row says `error`. */
export const CALLER_ERRORS = {
  invalid_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  machine_limit_reached: 409,
  payload_too_large: 413,
  unsupported_media_type: 415,
  idempotency_key_reused: 422,
} as const;

/** Codes of failures that are ours, Supabase's or Fly.io's. Each answers HTTP 500. */
export const PROVISIONING_ERRORS = {
  configuration_error: 500,
  database_error: 500,
  fly_unauthorized: 500,
  fly_rate_limited: 500,
  fly_capacity: 500,
  fly_rejected: 500,
  fly_unavailable: 500,
  fly_invalid_response: 500,
  machine_failed: 500,
  provision_timeout: 500,
  internal_error: 500,
} as const;

/** Codes that only reconcile writes to a row. */
export const RECONCILE_CODES = ["interrupted", "machine_lost"] as const;

export type CallerErrorCode = keyof typeof CALLER_ERRORS;
export type ProvisioningErrorCode = keyof typeof PROVISIONING_ERRORS;
export type ErrorCode = CallerErrorCode | ProvisioningErrorCode;
/** What `cloud_machines.error_code` can hold. */
export type RowErrorCode = ProvisioningErrorCode | (typeof RECONCILE_CODES)[number];

export interface AppErrorOptions {
  /** What to tell the caller beyond what happened; defaults to the error itself. */
  message?: string;
  /** When trying again can help, in how many seconds. */
  retryAfterSeconds?: number;
  /** Fields that the answer carries besides the common ones, such as `issues`. */
  fields?: Record<string, unknown>;
  /** Response headers that go with this error, such as `Allow`. */
  headers?: Record<string, string>;
  cause?: unknown;
}

/** A failure with a code of the contract: `error` says what happened, `hint` what that means. */
export class AppError extends Error {
  override name = "AppError";
  readonly hint: string;
  readonly retryAfterSeconds: number | undefined;
  readonly fields: Record<string, unknown>;
  readonly headers: Record<string, string>;

  constructor(readonly code: ErrorCode, error: string, options: AppErrorOptions = {}) {
    super(error, { cause: options.cause });
    this.hint = options.message ?? error;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.fields = options.fields ?? {};
    this.headers = options.headers ?? {};
  }

  /** The HTTP status of the answer. */
  get status(): number {
    return { ...CALLER_ERRORS, ...PROVISIONING_ERRORS }[this.code];
  }
}

const RETRY_AFTER_SECONDS: Partial<Record<ErrorCode, number>> = {
  provision_timeout: 10,
  database_error: 10,
  fly_rate_limited: 5,
  fly_capacity: 60,
  fly_unavailable: 10,
  fly_invalid_response: 10,
};

/** When trying again can help after a failure, if nobody said when; undefined when it cannot. */
export function retryAfter(code: ErrorCode): { retryAfterSeconds?: number } {
  const retryAfterSeconds = RETRY_AFTER_SECONDS[code];
  return retryAfterSeconds === undefined ? {} : { retryAfterSeconds };
}

/** Whether a code is one of those that answer HTTP 500 and close the row as `error`. */
export function isProvisioningErrorCode(code: string): code is ProvisioningErrorCode {
  return Object.hasOwn(PROVISIONING_ERRORS, code);
}

/**
 * Makes an {@link AppError} of whatever was thrown. What nobody foresaw becomes `internal_error`;
 * its own message stays in the log, since it may speak of our insides.
 */
export function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  return new AppError("internal_error", "An unexpected error happened", {
    message: "The failure was logged under this request id",
    cause: thrown,
  });
}
