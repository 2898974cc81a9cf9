/** The states in which a machine can be used, and the way out of every other. */
import type { CloudMachine, LiveMachine } from "../database/rows.ts";
import { AppError } from "../errors.ts";

/** What provisioning and destroying usually need. */
const RETRY_AFTER_SECONDS = 5;

/** A machine that is there, with its owner. */
export type UsableMachine = LiveMachine & { user_id: string };

/** Throws {@link AppError} `machine_state_conflict` for a machine that is not, or not any more, there. */
export function usableMachine(row: CloudMachine): UsableMachine {
  if (row.status === "destroyed") throw stateConflict("was destroyed", "Provision another machine");
  if (row.status === "error") {
    throw stateConflict(`failed (${row.error_code})`, "Provision another machine");
  }
  // Reconcile destroys the machine of a user who was deleted.
  if (row.destroy_requested_at !== null || row.user_id === null) {
    throw stateConflict(
      "is being destroyed",
      "Provision another machine once it is gone",
      RETRY_AFTER_SECONDS,
    );
  }
  if (row.status === "provisioning") {
    throw stateConflict("is still being provisioned", "Try again shortly", RETRY_AFTER_SECONDS);
  }
  return { ...row, user_id: row.user_id };
}

/** The machine is in a state that forbids what was asked for. */
export function stateConflict(state: string, hint: string, retryAfterSeconds?: number): AppError {
  return new AppError("machine_state_conflict", `The machine ${state}`, {
    hint,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  });
}
