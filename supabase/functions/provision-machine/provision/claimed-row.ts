/** What the claim of a row came to: the row to go on with, or why there is none. */
import { banned } from "../auth/credentials.ts";
import type { Claim, CloudMachine } from "../database/rows.ts";
import { AppError } from "../errors.ts";
import type { RequestContext } from "../http/context.ts";
import { invalid } from "./parse-request.ts";
import { limitReached } from "./responses.ts";

/** The claimed or replayed row. Throws {@link AppError} when there is none to go on with. */
export function claimedRow(claim: Claim, context: RequestContext): CloudMachine {
  const { progress, log, environment: { settings: { PROVISIONING_PAUSED } } } = context;
  switch (claim.outcome) {
    case "unknown_user":
      throw unknownUser(context, claim.banned);
    case "paused":
      throw new AppError("provisioning_paused", "Provisioning is paused", {
        ...(PROVISIONING_PAUSED === undefined ? {} : { hint: PROVISIONING_PAUSED }),
      });
    case "too_many_requests":
      throw new AppError("too_many_requests", "Too many machines were requested within an hour", {
        retryAfterSeconds: Math.ceil(claim.wait_ms / 1_000),
      });
    case "fleet_full":
      askForAlert(context);
      throw new AppError("fleet_full", "This service has no machine left");
    case "limit_reached":
      throw limitReached(claim.machine);
  }
  const { machine } = claim;
  progress.machineId = machine.machine_id;
  log.identify({ machineId: machine.machine_id });
  if (claim.outcome === "key_reused") {
    throw new AppError(
      "idempotency_key_reused",
      "This Idempotency-Key was used for another request",
    );
  }
  return machine;
}

/** Only requests can watch reconcile and the number of machines: nothing else runs regularly. */
export function askForAlert(context: RequestContext): void {
  const asking = import("../alerts/after-failure.ts")
    .then(({ afterNotice }) => afterNotice(context));
  context.isolate.runtime.waitUntil(asking);
}

function unknownUser({ caller }: RequestContext, isBanned: boolean): AppError {
  if (caller.kind === "service") {
    const message = isBanned ? "this user is banned" : "no user has this id";
    return invalid([{ path: "userId", message }]);
  }
  if (isBanned) return banned();
  return new AppError("unauthorized", "The signed-in user no longer exists", {
    hint: "Sign in again",
    headers: { "www-authenticate": "Bearer" },
  });
}
