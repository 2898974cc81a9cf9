/**
 * What can go wrong with a call to the Fly Machines API, and what it means. The body decides, not
 * the number: lack of capacity comes as 409, 412 or 422.
 * https://fly.io/docs/machines/api/working-with-machines-api/
 */
import { AppError, type ProvisioningErrorCode, UpstreamError } from "../errors.ts";
import { truncate } from "../logging/log-format.ts";
import type { Deadline } from "../time.ts";

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
  }

  override get code(): ProvisioningErrorCode {
    if (this.kind === "network" || this.kind === "timeout") return "fly_unavailable";
    if (this.kind === "body") return "fly_invalid_response";
    const status = this.status ?? 0;
    if (this.lacksCapacity) return "fly_capacity";
    // Names are random, so ours is taken by our own create: it may only not be visible yet.
    if (this.nameIsTaken) return "fly_unavailable";
    if (status === 401 || status === 403) return "fly_unauthorized";
    if (status === 429) return "fly_rate_limited";
    if (status === 408 || status >= 500) return "fly_unavailable";
    return "fly_rejected";
  }

  /** The region has no room. */
  get lacksCapacity(): boolean {
    return this.kind === "status" &&
      /insufficient[_ ](capacity|resources|memory|cpus?)|no capacity/i.test(this.body ?? "");
  }

  /** A machine with this name already lives in the app, or an app with this name at Fly.io. */
  get nameIsTaken(): boolean {
    return (this.status === 409 || this.status === 422) && !this.lacksCapacity &&
      /already_exists|already exists|unique machine name|name_taken|has already been taken|uniqueness/i
        .test(this.body ?? "");
  }

  /** Fly.io does not know the app: not yet, if it is new. */
  get appIsUnknown(): boolean {
    return this.status === 404 && /\bapp\b|no rows in result set/i.test(this.body ?? "");
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
  const { code, message, retryAfterMs } = failure;
  return new AppError(code, message, {
    ...(retryAfterMs === undefined ? {} : { retryAfterSeconds: Math.ceil(retryAfterMs / 1_000) }),
    cause: failure,
  });
}

/** The request has used up its budget. */
export function outOfTime(cause: unknown): AppError {
  return new AppError("provision_timeout", "Provisioning did not finish in time", { cause });
}
