/** The same Idempotency-Key again: the same machine, in its current state, and no second Fly call. */
import type { RequestContext } from "../app.ts";
import type { CloudMachine } from "../database/rows.ts";
import type { Deadline } from "../deadline.ts";
import { AppError, isProvisioningErrorCode, retryAfter, toAppError } from "../errors.ts";
import { prefersAsync } from "../http/request-context.ts";
import { sleep } from "../runtime.ts";
import { machineResponse } from "./responses.ts";

const FIRST_LOOK_AFTER_MS = 250;
const LOOK_EVERY_AT_MOST_MS = 2_000;
export const REPLAYED = { "idempotency-replayed": "true" };

/**
 * Answers with the row's state. A synchronous call means a machine that runs or a failure, so while
 * the first call is still at work this one waits with it.
 */
export async function replay(
  context: RequestContext,
  row: CloudMachine,
  deadline: Deadline,
): Promise<Response> {
  if (row.status === "provisioning" && prefersAsync(context.request.headers)) {
    return machineResponse(202, row, context.requestId, {
      ...REPLAYED,
      "preference-applied": "respond-async",
    });
  }
  const settled = await untilSettled(context, row, deadline);
  if (settled.status === "running") {
    return machineResponse(200, settled, context.requestId, REPLAYED);
  }
  throw replayedFailure(settled);
}

async function untilSettled(
  { services, database }: RequestContext,
  row: CloudMachine,
  deadline: Deadline,
): Promise<CloudMachine> {
  const { clock } = services.runtime;
  let current = row;
  for (let waitMs = FIRST_LOOK_AFTER_MS; current.status === "provisioning"; waitMs *= 2) {
    await sleep(clock, Math.min(waitMs, LOOK_EVERY_AT_MOST_MS, deadline.remainingMs()));
    // Before the look: with no time left it would fail, and say so of a database that is well.
    if (deadline.passed()) throw stillProvisioning();
    const found = await database.machines.find(row.id, deadline).catch((error) => {
      throw outcomeUnknown(error);
    });
    if (found === null) {
      throw new AppError(
        "internal_error",
        "The machine's row was deleted while it was provisioned",
      );
    }
    current = found;
  }
  return current;
}

/** The database went away while this call waited: what became of the row cannot be told. */
function outcomeUnknown(thrown: unknown): AppError {
  const error = toAppError(thrown);
  return new AppError(error.code, error.message, {
    message: `${error.hint}. The outcome is not known yet; send the same key again shortly`,
    ...(error.retryAfterSeconds === undefined
      ? {}
      : { retryAfterSeconds: error.retryAfterSeconds }),
    headers: REPLAYED,
    cause: error.cause,
  });
}

/** The first call did not close the row: it died, and reconcile is about to. */
function stillProvisioning(): AppError {
  return new AppError("provision_timeout", "Provisioning did not finish in time", {
    message: "The outcome is not known yet; send the same key again shortly",
    retryAfterSeconds: 60,
    headers: REPLAYED,
  });
}

function replayedFailure(row: CloudMachine): AppError {
  if (row.status === "destroyed") {
    return new AppError(
      "idempotency_key_reused",
      "This Idempotency-Key belongs to a machine that was destroyed",
      {
        message: "Send a new key to provision another machine",
        headers: REPLAYED,
      },
    );
  }
  const code = row.error_code !== null && isProvisioningErrorCode(row.error_code)
    ? row.error_code
    : "internal_error";
  return new AppError(code, row.error_message ?? "Provisioning failed", {
    message: "This request failed before; send a new key to try again",
    ...retryAfter(code),
    headers: REPLAYED,
  });
}
