import { destroyRowMachine } from "../fly/destroy-row-machine.ts";
import type { ProvisionContext, ProvisionInput } from "./provision-machine.ts";

/**
 * Destroys the machine that a failed provisioning may have left at Fly.io. Returns whether it is
 * certain that none is left; never throws, since there is already a failure to be told.
 */
export async function removeLeftovers(
  { runtime, fly, log, closeDeadline }: ProvisionContext,
  { row, app, identity }: ProvisionInput,
  flyMachineId: string | null,
): Promise<boolean> {
  const { machine_id: machineId } = row;
  try {
    return await destroyRowMachine({
      runtime,
      fly,
      app,
      machineId,
      identity,
      flyMachineId,
      deadline: closeDeadline,
    });
  } catch (error) {
    log.alsoFailed("The Fly machine could not be destroyed; reconcile will", error);
    return false;
  }
}
