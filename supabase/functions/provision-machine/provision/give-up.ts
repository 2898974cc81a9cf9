/** What happens when a machine cannot be had: its row is closed and what may be left is removed. */
import { originOf } from "../database/machines.ts";
import type { CloudMachine, LiveMachine } from "../database/rows.ts";
import { machineOfRow } from "../hosting/hosting.ts";
import { destroyMachineOfRow } from "../hosting/machine-of-row.ts";
import { AppError, isProvisioningErrorCode, toAppError } from "../errors.ts";
import type { Progress, ProvisionContext, ProvisionInput } from "./context.ts";
import { destroyedMeanwhile } from "./create-slot.ts";

/** While the request itself cleans up, reconcile leaves the row to it for this long. */
const CLEANUP_LEASE_MS = 60_000;

/**
 * Closes the row, then removes what may be left at Fly.io, then throws the {@link AppError} that
 * says why. Returns the row in the one case where it lives after all.
 */
export async function giveUp(
  context: ProvisionContext,
  input: ProvisionInput,
  progress: Progress,
  thrown: unknown,
): Promise<LiveMachine> {
  const { machines, log, redactor, measurements, closeDeadline } = context;
  const { row } = input;
  // As the database has it: the answer to another name of the row may have been lost.
  let current: CloudMachine = row;
  let error = toAppError(thrown);
  let stale = false;
  const flyMachineId = progress.machine?.id ?? null;
  const mayHaveLeftovers = progress.mayExist || progress.appMayExist;
  try {
    const closed = await measurements.time("finish", () =>
      machines.markError(
        row.id,
        {
          from: "provisioning",
          code: isProvisioningErrorCode(error.code) ? error.code : "internal_error",
          message: redactor.redact(error.message),
          flyMachineId,
          recheckInMs: mayHaveLeftovers ? CLEANUP_LEASE_MS : null,
        },
        { ...originOf(context), detail: measurements.report() },
        closeDeadline,
      ));
    if (closed.outcome === "not_found") error = rowDeleted(thrown);
    else current = closed.machine;
    if (closed.outcome === "conflict") {
      // Reconcile saw the machine start and adopted it; it may have stopped since. Then it lives.
      const { status } = closed.machine;
      if (status === "running" || status === "stopped") return closed.machine;
      error = errorOfClosedRow(closed.machine, thrown);
    }
  } catch (databaseError) {
    stale = true;
    log.errorEvent("The row could not be marked as error; reconcile will", databaseError);
  }

  // Its machine had started and only the answer about its row was lost: the row may say running, and
  // then its machine must live. Otherwise reconcile finds it started and adopts it.
  if (stale && flyMachineId !== null && error.code === "database_error") {
    throw withLeftovers(error, { stale, clean: true });
  }
  const clean = !mayHaveLeftovers ||
    await measurements.time("cleanup", () => removeLeftovers(context, current, progress));
  if (clean && !stale && mayHaveLeftovers) {
    await machines.markCleanedUp(row.id, originOf(context), closeDeadline).catch((cause) =>
      log.deferWarning("The clean-up could not be noted; reconcile will check again", {
        reason: String(cause.cause ?? cause),
      })
    );
  }
  throw withLeftovers(error, { stale, clean });
}

/**
 * Destroys the machine that a failed provisioning may have left at Fly.io. Returns whether it is
 * certain that none is left; never throws, since there already is a failure to report.
 */
async function removeLeftovers(
  { runtime, fly, log, closeDeadline: deadline }: ProvisionContext,
  row: CloudMachine,
  { machine: seen }: Progress,
): Promise<boolean> {
  const known = machineOfRow(row);
  if (known === null) return true;
  const machine = { ...known, flyMachineId: null, seen };
  try {
    return await destroyMachineOfRow({ runtime, fly, deadline }, machine);
  } catch (error) {
    log.errorEvent("The Fly machine could not be destroyed; reconcile will", error);
    return false;
  }
}

function rowDeleted(cause: unknown): AppError {
  return new AppError("internal_error", "The machine's row was deleted while it was provisioned", {
    cause,
  });
}

function errorOfClosedRow(row: CloudMachine, cause: unknown): AppError {
  if (row.status !== "error") return destroyedMeanwhile(cause);
  const code = isProvisioningErrorCode(row.error_code) ? row.error_code : "internal_error";
  return new AppError(code, row.error_message, { cause });
}

/** Adds to the answer what could not be put in order before it was sent. */
function withLeftovers(
  error: AppError,
  { stale, clean }: { stale: boolean; clean: boolean },
): AppError {
  if (!stale && clean) return error;
  const notes = [
    ...(stale ? ["The row may still say provisioning; it is repaired within minutes."] : []),
    ...(clean ? [] : ["Any leftover Fly machine will be destroyed within minutes."]),
  ];
  return error.with({
    hint: [`${error.hint}.`, ...notes].join(" "),
    // Reconcile closes the row as failed, or adopts a machine that it finds started.
    ...(stale ? { retry: "same_key" as const } : {}),
  });
}
