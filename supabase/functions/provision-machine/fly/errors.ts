/**
 * What can go wrong with a call to the Fly Machines API, and what it means. The body decides, not
 * the number: lack of capacity comes as 409, 412 or 422.
 * https://fly.io/docs/machines/api/working-with-machines-api/
 */
import type { ProvisioningErrorCode } from "../errors.ts";

export interface FlyErrorDetails {
  /** HTTP status, if there was an answer. */
  status?: number | undefined;
  statusText?: string;
  /** Of the call that failed. */
  method?: string;
  /** The answer's body, cut to a readable length. */
  body?: string | undefined;
  /** `fly-request-id` of the answer, which Fly.io's support asks for. */
  flyRequestId?: string | null | undefined;
  /** Milliseconds that the answer's `Retry-After` asks to wait. */
  retryAfterMs?: number | undefined;
  cause?: unknown;
}

/** `network`: no answer. `timeout`: none in time. `status`: an error answer. `body`: an answer that cannot be read. */
export type FlyErrorKind = "network" | "timeout" | "status" | "body";

export class FlyError extends Error {
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

  /** The contract's code for this failure. */
  get code(): ProvisioningErrorCode {
    if (this.kind === "network" || this.kind === "timeout") return "fly_unavailable";
    if (this.kind === "body") return "fly_invalid_response";
    const status = this.status ?? 0;
    if (this.lacksCapacity) return "fly_capacity";
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

  /** A machine with this name already lives in the app. */
  get nameIsTaken(): boolean {
    return this.status === 409 && !this.lacksCapacity &&
      /already_exists|already exists|unique machine name|name_taken/i.test(this.body ?? "");
  }

  /** Fly.io's id of the machine that has the name, where the answer says so. */
  get idOfNamesake(): string | undefined {
    return this.body?.match(/machine ID (\w+)/i)?.[1];
  }

  /**
   * Whether the call may have taken effect although it failed: the caller cannot know, and has to
   * look before it tries again.
   */
  get ambiguous(): boolean {
    return this.kind !== "status" || (this.code === "fly_unavailable");
  }
}
