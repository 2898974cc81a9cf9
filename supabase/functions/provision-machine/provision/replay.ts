/** The same Idempotency-Key again: the same machine, in its current state, and no second Fly call. */
import type { CloudMachine } from "../database/rows.ts";
import { AppError, CODES, isProvisioningErrorCode, toAppError } from "../errors.ts";
import type { RequestContext } from "../http/context.ts";
import { prefersAsync } from "../http/headers.ts";
import { type Deadline, sleep } from "../time.ts";
import {
  DESTROYED_WITHIN_SECONDS,
  isBeingDestroyed,
  machineResponse,
  stoppedNote,
} from "./responses.ts";

const FIRST_POLL_AFTER_MS = 250;
const MAX_POLL_INTERVAL_MS = 2_000;
const REPLAYED = { "idempotency-replayed": "true" };

/**
 * Answers with the row's state. A synchronous call ends with a running machine or a failure, so
 * while the first call is still at work this one waits with it.
 */
export async function replay(
  context: RequestContext,
  row: CloudMachine,
  deadline: Deadline,
): Promise<Response> {
  if (row.status === "provisioning" && prefersAsync(context.request.headers)) {
    return machineResponse(202, row, context.requestId, {
      headers: { ...REPLAYED, "preference-applied": "respond-async" },
    });
  }
  const settled = await untilSettled(context, row, deadline);
  if (isBeingDestroyed(settled)) {
    throw new AppError("machine_state_conflict", "The machine of this key is being destroyed", {
      hint: "Send a new key once it is gone",
      retryAfterSeconds: DESTROYED_WITHIN_SECONDS,
      headers: REPLAYED,
    });
  }
  if (settled.status === "running") {
    return machineResponse(200, settled, context.requestId, { headers: REPLAYED });
  }
  if (settled.status === "stopped") {
    const note = stoppedNote(settled);
    return machineResponse(200, settled, context.requestId, { headers: REPLAYED, note });
  }
  throw replayedFailure(settled);
}

async function untilSettled(
  { isolate, database, progress, log }: RequestContext,
  row: CloudMachine,
  deadline: Deadline,
): Promise<CloudMachine> {
  const { clock } = isolate.runtime;
  let current = row;
  for (let waitMs = FIRST_POLL_AFTER_MS; current.status === "provisioning"; waitMs *= 2) {
    await sleep(clock, Math.min(waitMs, MAX_POLL_INTERVAL_MS, deadline.remainingMs()));
    // Before the poll: without time left it would fail and blame a healthy database.
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
    // It may have got another name meanwhile.
    progress.machineId = found.machine_id;
    log.identify({ machineId: found.machine_id });
  }
  return current;
}

/** The database went away while this call waited, so the row's state is unknown. */
function outcomeUnknown(thrown: unknown): AppError {
  const error = toAppError(thrown);
  return error.with({
    hint: `${error.hint}. The outcome is not known yet; send the same key again shortly`,
    retry: "same_key",
    headers: REPLAYED,
  });
}

/** The first call did not close the row: it died, and reconcile is about to. */
function stillProvisioning(): AppError {
  return new AppError("provision_timeout", "Provisioning did not finish in time", {
    hint: "The outcome is not known yet; send the same key again shortly",
    retryAfterSeconds: 60,
    retry: "same_key",
    headers: REPLAYED,
  });
}

function replayedFailure(row: CloudMachine): AppError {
  if (row.status !== "error") {
    return new AppError(
      "idempotency_key_reused",
      "This Idempotency-Key belongs to a machine that was destroyed",
      { hint: "Send a new key to provision another machine", headers: REPLAYED },
    );
  }
  const code = isProvisioningErrorCode(row.error_code) ? row.error_code : "internal_error";
  const { retry, callerHint } = CODES[code];
  return new AppError(code, row.error_message, {
    hint: retry === "no"
      ? `This request failed before: ${callerHint}`
      : "This request failed before; send a new key to try again",
    headers: REPLAYED,
  });
}
