/** Destroys the Fly machine of a row, for a DELETE, a failed provisioning and reconcile alike. */
import type { FlyClient } from "../fly/client.ts";
import { FlyError } from "../fly/errors.ts";
import type { OwnerTags } from "../fly/identity.ts";
import { destroyMachine, findMachineByName } from "../fly/machines.ts";
import type { Runtime } from "../runtime.ts";
import { backoffMs, type Deadline, sleep } from "../time.ts";

const MAX_ATTEMPTS = 3;

export interface DestroyContext {
  runtime: Pick<Runtime, "clock" | "random">;
  fly: FlyClient;
  deadline: Deadline;
}

/** The machine of a row, as far as it is known. */
export interface MachineOfRow {
  app: string;
  name: string;
  tags: OwnerTags;
  /** Null when it never became known: then the machine is looked up by its name. */
  flyMachineId: string | null;
}

/**
 * Returns whether it is certain that no machine is left: a create whose answer was lost may still
 * land after a look-up that found nothing, so without an id there is no certainty and the row has
 * to be checked again later. Throws {@link FlyError} when Fly.io did not destroy it.
 */
export async function destroyMachineOfRow(
  { runtime, fly, deadline }: DestroyContext,
  machine: MachineOfRow,
): Promise<boolean> {
  for (let attempt = 1;; attempt++) {
    try {
      const id = machine.flyMachineId ??
        (await findMachineByName(fly, machine, { deadline }))?.id;
      if (id === undefined) return false;
      await destroyMachine(fly, machine.app, id, { deadline });
      return true;
    } catch (error) {
      if (!(error instanceof FlyError)) throw error;
      error.attempt = attempt;
      const waitMs = backoffMs(runtime, attempt, error.retryAfterMs);
      const canHelp = error.mayHaveTakenEffect || error.code === "fly_rate_limited";
      if (!canHelp || attempt >= MAX_ATTEMPTS || waitMs >= deadline.remainingMs()) throw error;
      await sleep(runtime.clock, waitMs);
    }
  }
}
