/** The error that the client throws, and how an answer becomes one. */

/** Codes of the function's answers, and two for when there is no such answer. */
export const ERROR_CODES = [
  // The request itself
  "invalid_request",
  "unauthorized",
  "forbidden",
  "not_found",
  "method_not_allowed",
  "machine_limit_reached",
  "machine_state_conflict",
  "payload_too_large",
  "unsupported_media_type",
  "idempotency_key_reused",
  "too_many_requests",
  "fleet_full",
  "provisioning_paused",
  // The service, or what it depends on
  "configuration_error",
  "database_error",
  "fly_unauthorized",
  "fly_rate_limited",
  "fly_capacity",
  "fly_account_limit",
  "fly_rejected",
  "fly_unavailable",
  "fly_invalid_response",
  "machine_failed",
  "provision_timeout",
  "internal_error",
  // This client: no answer came, or one that is not the function's
  "network_error",
  "unexpected_response",
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

/**
 * Whether calling again can help. `same_key`: the outcome is not known yet, and the same
 * `idempotencyKey` tells it. `new_key`: a later call can succeed. `no`: not before you, or the
 * service's operators, have changed something.
 */
export const RETRIES = ["same_key", "new_key", "no"] as const;
export type Retry = (typeof RETRIES)[number];

/** What is known about a failed call. `message` is the answer's `error`: what happened. */
export class ProvisionMachineError extends Error {
  override name = "ProvisionMachineError";
  /** The answer's `message`: what that means for the caller. */
  readonly hint: string;
  /** HTTP status; null when no answer came. */
  readonly status: number | null;
  readonly requestId: string | null;
  /** The machine concerned; for `machine_limit_reached` the one that exists already. */
  readonly machineId: string | null;
  /** Whether calling again can help, and with which key. */
  readonly retry: Retry;
  /** From `Retry-After`: when trying again can help. */
  readonly retryAfterSeconds: number | null;
  /** For `invalid_request`: each invalid field, and what is wrong with it. */
  readonly issues: { path: string; message: string }[];
  /** Send this key again to learn the outcome of a call without an answer. */
  readonly idempotencyKey: string | null;

  constructor(
    readonly code: ErrorCode,
    message: string,
    details: Partial<
      Pick<
        ProvisionMachineError,
        | "hint"
        | "status"
        | "requestId"
        | "machineId"
        | "retry"
        | "retryAfterSeconds"
        | "issues"
        | "idempotencyKey"
        | "cause"
      >
    > = {},
  ) {
    super(message, { cause: details.cause });
    this.hint = details.hint ?? message;
    this.status = details.status ?? null;
    this.requestId = details.requestId ?? null;
    this.machineId = details.machineId ?? null;
    // No answer, or not the function's: whatever it did is still to be learnt.
    const known = code !== "network_error" && code !== "unexpected_response";
    this.retry = details.retry ?? (known ? "no" : "same_key");
    this.retryAfterSeconds = details.retryAfterSeconds ?? null;
    this.issues = details.issues ?? [];
    this.idempotencyKey = details.idempotencyKey ?? null;
  }

  /** True when the outcome is unknown: send the same key again to learn it. */
  get outcomeUnknown(): boolean {
    return this.retry === "same_key";
  }
}

/** The error that an answer stands for; `body` is null when it was no JSON object. */
export function toError(
  { status, headers }: Response,
  body: Record<string, unknown> | null,
  idempotencyKey: string | null,
): ProvisionMachineError {
  const code = ERROR_CODES.find((known) => known === body?.["code"]);
  const retryAfter = headers.get("retry-after")?.trim() ?? "";
  const details = {
    status,
    requestId: text(body?.["requestId"]) ?? headers.get("x-request-id"),
    retryAfterSeconds: /^\d+$/.test(retryAfter) ? Number(retryAfter) : null,
    idempotencyKey,
  };
  if (!body || !code) {
    return new ProvisionMachineError(
      "unexpected_response",
      `HTTP ${status}: ${text(body?.["message"]) ?? "not an answer of provision-machine"}`,
      { ...details, hint: "Something between this page and the function answered in its place" },
    );
  }
  return new ProvisionMachineError(code, text(body["error"]) ?? code, {
    ...details,
    retry: RETRIES.find((known) => known === body["retry"]) ?? "no",
    hint: text(body["message"]) ?? code,
    machineId: text(body["machineId"]),
    issues: Array.isArray(body["issues"])
      ? body["issues"].map(({ path, message }) => ({
        path: String(path),
        message: String(message),
      }))
      : [],
  });
}

/** The value if it is a string. */
export function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
