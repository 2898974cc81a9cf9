/**
 * What can go wrong with a call to the Fly Machines API, and which code that is. What Fly.io says
 * in an error answer goes before its status: see refusals.ts.
 * https://fly.io/docs/machines/api/working-with-machines-api/
 */
import { AppError, type ProvisioningErrorCode, UpstreamError } from "../errors.ts";
import { truncate } from "../logging/log-format.ts";
import type { Deadline } from "../time.ts";
import { meaningOf, type Refusal, refusalOf } from "./refusals.ts";

export interface FlyErrorDetails {
  /** HTTP status, if there was an answer. */
  status?: number | undefined;
  statusText?: string;
  /** Of the call that failed. */
  method?: string;
  /** The answer's body, truncated to a readable length. */
  body?: string | undefined;
  /** `fly-request-id` of the answer, which Fly.io's support asks for. */
  flyRequestId?: string | null | undefined;
  /** Milliseconds that the answer's `Retry-After` asks to wait. */
  retryAfterMs?: number | undefined;
  cause?: unknown;
}

/** `network`: no answer. `timeout`: none in time. `status`: an error answer. `body`: an answer that cannot be read. */
export type FlyErrorKind = "network" | "timeout" | "status" | "body";

export class FlyError extends UpstreamError {
  override name = "FlyError";
  readonly status: number | undefined;
  readonly statusText: string;
  readonly method: string | undefined;
  readonly body: string | undefined;
  readonly flyRequestId: string | null;
  readonly retryAfterMs: number | undefined;
  /** What Fly.io's words mean, where they say more than the status. */
  readonly refusal: Refusal | undefined;
  /** Which attempt at the same call this was, from 1. */
  attempt = 1;

  constructor(readonly kind: FlyErrorKind, message: string, details: FlyErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.status = details.status;
    this.method = details.method;
    this.statusText = details.statusText ?? "";
    this.body = details.body;
    this.flyRequestId = details.flyRequestId ?? null;
    this.retryAfterMs = details.retryAfterMs;
    this.refusal = kind === "status"
      ? refusalOf(details.status ?? 0, details.body ?? "")
      : undefined;
  }

  override get code(): ProvisioningErrorCode {
    if (this.kind === "network" || this.kind === "timeout") return "fly_unavailable";
    if (this.kind === "body") return "fly_invalid_response";
    if (this.refusal !== undefined) return meaningOf(this.refusal).code;
    const status = this.status ?? 0;
    if (status === 401 || status === 403) return "fly_unauthorized";
    if (status === 429) return "fly_rate_limited";
    if (status === 408 || status >= 500) return "fly_unavailable";
    return "fly_rejected";
  }

  /** A machine with this name already lives in the app, or an app with this name at Fly.io. */
  get nameIsTaken(): boolean {
    return this.refusal === "name_taken";
  }

  /** Fly.io does not know the app: not yet, if it is new. */
  get appIsUnknown(): boolean {
    return this.status === 404 && this.refusal === undefined &&
      /\bapp\b|no rows in result set/i.test(this.body ?? "");
  }

  /** Fly.io's id of the machine that has the name, where the answer says so. */
  get existingMachineId(): string | undefined {
    return this.body?.match(/machine ID (\w+)/i)?.[1];
  }

  /**
   * Whether the call may have taken effect although it failed: then the machine has to be looked up
   * before another attempt.
   */
  get mayHaveTakenEffect(): boolean {
    return this.kind !== "status" || (this.code === "fly_unavailable");
  }

  /** Whether the same call may succeed a little later. */
  get mayPass(): boolean {
    return this.mayHaveTakenEffect || this.code === "fly_rate_limited";
  }

  override logFields(): Record<string, unknown> {
    return {
      flyStatus: this.status,
      flyRequestId: this.flyRequestId,
      flyBody: this.body === undefined ? undefined : truncate(this.body, 600),
      attempt: this.attempt,
    };
  }
}

/** The answer's error for a failed call; running out of time is an error of its own. */
export function toProvisioningError(failure: FlyError, deadline: Deadline): AppError {
  if (deadline.passed()) return outOfTime(failure);
  const { code, message, refusal, retryAfterMs } = failure;
  const { hint, retryAfterSeconds } = refusal === undefined ? {} : meaningOf(refusal);
  return new AppError(code, message, {
    ...(hint === undefined ? {} : { hint }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    ...(retryAfterMs === undefined ? {} : { retryAfterSeconds: Math.ceil(retryAfterMs / 1_000) }),
    cause: failure,
  });
}

/** The request has used up its budget. */
export function outOfTime(cause: unknown): AppError {
  return new AppError("provision_timeout", "Provisioning did not finish in time", { cause });
}
