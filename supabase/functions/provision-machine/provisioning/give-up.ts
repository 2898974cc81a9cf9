/** What happens when a machine cannot be had. */
import type { CloudMachine } from "../database/rows.ts";
import { AppError, isProvisioningErrorCode, toAppError } from "../errors.ts";
import { destroyedMeanwhile } from "./await-create-slot.ts";
import {
  originOf,
  type Progress,
  type ProvisionContext,
  type ProvisionInput,
} from "./provision-machine.ts";
import { removeLeftovers } from "./remove-leftovers.ts";

/** While the request itself cleans up, reconcile keeps out of its way for this long. */
const CLEANUP_LEASE_MS = 60_000;

/** Closes the row, then removes what may be left at Fly.io, then says why. */
export async function giveUp(
  context: ProvisionContext,
  input: ProvisionInput,
  progress: Progress,
  thrown: unknown,
): Promise<CloudMachine> {
  const { machines, log, redactor, measurements, closeDeadline } = context;
  const { row } = input;
  let error = toAppError(thrown);
  let stale = false;
  const flyMachineId = progress.machine?.id ?? null;
  try {
    const closed = await measurements.time("finish", () =>
      machines.markError(
        row.id,
        {
          from: "provisioning",
          code: isProvisioningErrorCode(error.code) ? error.code : "internal_error",
          message: redactor.redact(error.message),
          flyMachineId,
          cleanupInMs: progress.mayExist ? CLEANUP_LEASE_MS : null,
        },
        { ...originOf(context), detail: measurements.report() },
        closeDeadline,
      ));
    if (closed.outcome === "not_found") error = rowGone(thrown);
    else if (closed.outcome === "conflict") {
      // Reconcile saw the machine start and adopted it: then that is the truth to be told.
      if (closed.machine.status === "running") return closed.machine;
      error = closedOtherwise(closed.machine, thrown);
    }
  } catch (databaseError) {
    stale = true;
    log.alsoFailed("The row could not be marked as error; reconcile will", databaseError);
  }

  const clean = !progress.mayExist ||
    await measurements.time("cleanup", () => removeLeftovers(context, input, flyMachineId));
  if (clean && !stale && progress.mayExist) {
    await machines.markCleanedUp(row.id, originOf(context), closeDeadline).catch((cause) =>
      log.retrying("The clean-up could not be noted; reconcile will look again", {
        reason: String(cause.cause ?? cause),
      })
    );
  }
  throw explain(error, { stale, clean });
}

function rowGone(cause: unknown): AppError {
  return new AppError("internal_error", "The machine's row was deleted while it was provisioned", {
    cause,
  });
}

function closedOtherwise(row: CloudMachine, cause: unknown): AppError {
  if (
    row.status === "error" && row.error_code !== null && isProvisioningErrorCode(row.error_code)
  ) {
    return new AppError(row.error_code, row.error_message ?? row.error_code, { cause });
  }
  if (row.status === "error") {
    return new AppError("internal_error", row.error_message ?? "The row was closed by reconcile", {
      cause,
    });
  }
  return destroyedMeanwhile(cause);
}

/** Adds to the answer what could not be put in order before it was sent. */
function explain(error: AppError, { stale, clean }: { stale: boolean; clean: boolean }): AppError {
  if (!stale && clean) return error;
  const notes = [
    ...(stale ? ["The row may still say provisioning; it is repaired within minutes."] : []),
    ...(clean ? [] : ["What may be left at Fly.io is destroyed within minutes."]),
  ];
  return new AppError(error.code, error.message, {
    message: [`${error.hint}.`, ...notes].join(" "),
    ...(error.retryAfterSeconds === undefined
      ? {}
      : { retryAfterSeconds: error.retryAfterSeconds }),
    fields: error.fields,
    cause: error.cause ?? error,
  });
}
