/** The error that the client throws, and how an answer becomes one. */
import type { ErrorCode } from "./codes.ts";

const RETRIES = ["same_key", "new_key", "no"] as const;
/**
 * Whether calling again can help. `same_key`: the outcome is not known yet, and the same
 * `idempotencyKey` tells it. `new_key`: a later call can succeed. `no`: not before you, or the
 * service's operators, have changed something.
 */
export type Retry = (typeof RETRIES)[number];

/** What is known besides code and message. */
export interface ErrorDetails {
  /** The whole answer: what it says counts, unless the other fields say something else. */
  answer?: Record<string, unknown> | null;
  status?: number;
  retry?: Retry;
  retryAfterSeconds?: number | null;
  idempotencyKey?: string | undefined;
  cause?: unknown;
}

/** What is known about a failed call. `message` is the answer's `error`: what happened. */
export class ProvisionMachineError extends Error {
  override name = "ProvisionMachineError";
  declare readonly code: ErrorCode;
  /** The answer's `message`: what that means for the caller; without an answer the same again. */
  declare readonly hint: string;
  /** HTTP status; null when no answer came. */
  declare readonly status: number | null;
  /** Quote this to the operators when you report a problem. */
  declare readonly requestId: string | null;
  /** Whether calling again can help, and with which key. */
  declare readonly retry: Retry;
  /** From `Retry-After`: when trying again can help. */
  declare readonly retryAfterSeconds: number | null;
  /** Send this key again to learn the outcome of a call without an answer. */
  declare readonly idempotencyKey: string | null;
  /** The machine concerned; for `machine_limit_reached` the one that exists already. */
  declare readonly machineId: string | null;
  /** For `machine_limit_reached`: the state of the machine that exists already. */
  declare readonly machineStatus: string | null;
  /** For `machine_limit_reached`: the address of the machine that exists already. */
  declare readonly websocketUrl: string | null;
  /** For `invalid_request`: each invalid field, and what is wrong with it. */
  declare readonly issues: { path: string; message: string }[];
  /** The whole answer as it came; null when it was no JSON object. */
  declare readonly answer: Record<string, unknown> | null;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    const { answer = null, status = null, retry, cause } = details;
    super(message, { cause });
    const said = answer ?? {};
    const issues = said["issues"];
    this.code = code;
    this.hint = text(said["message"]) ?? message;
    this.status = status;
    this.requestId = text(said["requestId"]);
    this.retry = retry ?? RETRIES.find((known) => known === said["retry"]) ?? "no";
    this.retryAfterSeconds = details.retryAfterSeconds ?? null;
    this.idempotencyKey = details.idempotencyKey ?? null;
    this.machineId = text(said["machineId"]);
    this.machineStatus = text(said["status"]);
    this.websocketUrl = text(said["websocketUrl"]);
    this.issues = Array.isArray(issues)
      ? issues.map((issue) => ({ path: `${issue?.path}`, message: `${issue?.message}` }))
      : [];
    this.answer = answer;
  }
}

/** The error that an answer stands for; `answer` is null when it was no JSON object. */
export function toError(
  { status, headers }: Pick<Response, "status" | "headers">,
  answer: Record<string, unknown> | null,
  idempotencyKey: string | undefined,
): ProvisionMachineError {
  const details = {
    answer,
    status,
    // The other form, a date, is not used here: it counts as none.
    retryAfterSeconds: Number(headers.get("retry-after")) || null,
    idempotencyKey,
  };
  // Gateways answer in JSON with a code too, but know no request id.
  const code = text(answer?.["requestId"]) && text(answer?.["code"]);
  if (code) return new ProvisionMachineError(code, text(answer?.["error"]) ?? code, details);
  return new ProvisionMachineError(
    "unexpected_response",
    `HTTP ${status}: ${text(answer?.["message"]) ?? "unknown answer"}`,
    // Whatever the function did is still to be learnt.
    { ...details, retry: "same_key" },
  );
}

/** No answer came; unless `details` say something else, the outcome is still to be learnt. */
export function failed(message: string, details?: ErrorDetails): ProvisionMachineError {
  return new ProvisionMachineError("network_error", message, { retry: "same_key", ...details });
}

/** The value if it is a string. */
export function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
