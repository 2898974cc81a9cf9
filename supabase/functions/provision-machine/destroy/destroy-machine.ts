/** Destroys the Fly machine of a row, for a DELETE, a failed provisioning and reconcile alike. */
import type { FlyClient } from "../fly/client.ts";
import { FlyError } from "../fly/errors.ts";
import { destroyMachine, findMachineByName, type FlyMachine, getMachine } from "../fly/machines.ts";
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
  /** Null when it never became known: then the machine is looked up by its name. */
  flyMachineId: string | null;
  /** As Fly.io answered in this very request, so that its name need not be checked again. */
  seen?: FlyMachine | undefined;
}

/**
 * Destroys the machine once its name has proved that it is the row's. Returns whether it is certain
 * that none is left: a create whose answer was lost may still land after a look-up that found
 * nothing, and a machine that Fly.io does not know at the moment may only not be visible; then the
 * row has to be checked again later. Throws {@link FlyError} when Fly.io did not destroy it.
 */
export async function destroyMachineOfRow(
  { runtime, fly, deadline }: DestroyContext,
  machine: MachineOfRow,
): Promise<boolean> {
  let sent = false;
  for (let attempt = 1;; attempt++) {
    try {
      const found = machine.seen ?? await lookUp(fly, machine, deadline);
      // After a call whose answer was lost, not found means that it took effect.
      if (found?.name !== machine.name) return sent && found === undefined;
      sent = true;
      await destroyMachine(fly, machine.app, found.id, { deadline });
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

async function lookUp(
  fly: FlyClient,
  machine: MachineOfRow,
  deadline: Deadline,
): Promise<FlyMachine | undefined> {
  const { app, flyMachineId } = machine;
  if (flyMachineId === null) return await findMachineByName(fly, machine, { deadline });
  return await getMachine(fly, app, flyMachineId, { deadline }) ?? undefined;
}
