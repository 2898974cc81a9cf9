import type { Deadline } from "../deadline.ts";
import { AppError, retryAfter } from "../errors.ts";
import type { FlyError } from "./errors.ts";

const HINTS: Partial<Record<AppError["code"], string>> = {
  fly_unauthorized:
    "Server configuration error - Fly.io does not accept FLY_API_TOKEN for this app",
  fly_rate_limited: "Fly.io is limiting how fast machines are created; try again shortly",
  fly_capacity: "The region has no capacity for this machine; try again later or in another region",
  fly_rejected: "Fly.io refused the machine's configuration",
  fly_unavailable: "Fly.io could not be reached or failed; try again shortly",
  fly_invalid_response: "Fly.io answered something that could not be understood; try again shortly",
};

/** The contract's error for a failed call; running out of time is an error of its own. */
export function toProvisioningError(failure: FlyError, deadline: Deadline): AppError {
  if (deadline.passed()) return outOfTime(failure);
  return new AppError(failure.code, failure.message, {
    ...(HINTS[failure.code] ? { message: HINTS[failure.code] } : {}),
    ...(failure.retryAfterMs === undefined
      ? retryAfter(failure.code)
      : { retryAfterSeconds: Math.ceil(failure.retryAfterMs / 1_000) }),
    cause: failure,
  });
}

/** The budget of the request is used up. */
export function outOfTime(cause: unknown): AppError {
  return new AppError("provision_timeout", "Provisioning did not finish in time", {
    message: "The machine did not start in time and was given up; try again",
    ...retryAfter("provision_timeout"),
    cause,
  });
}
