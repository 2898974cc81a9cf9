/**
 * The use case: from a claimed row to a machine that was seen started, or to a row in `error`
 * with no machine left behind. The first to close the row decides the outcome; the answer always
 * says what the row says.
 */
import type { RunningMachine } from "../database/rows.ts";
import type { Progress, ProvisionContext, ProvisionInput } from "./context.ts";
import { createMachine } from "./create-machine.ts";
import { awaitCreateSlot } from "./create-slot.ts";
import { giveUp } from "./give-up.ts";
import { startMachine } from "./start-machine.ts";

/**
 * Returns the row once it is `running`. Throws {@link AppError} otherwise, after the row was
 * closed and what may be left at Fly.io was destroyed or left to reconcile.
 */
export async function provisionMachine(
  context: ProvisionContext,
  input: ProvisionInput,
): Promise<RunningMachine> {
  const { log, measurements } = context;
  const progress: Progress = { machine: undefined, mayExist: false };
  try {
    await awaitCreateSlot(context, input.row, input.slotWaitMs);
    const machine = await measurements.time(
      "create",
      () => createMachine(context, input, progress),
    );
    progress.machine = machine;
    measurements.region = machine.region;
    log.flyMachineCreated(machine.id, machine.region);
    return await startMachine(context, input.row, machine);
  } catch (thrown) {
    return await giveUp(context, input, progress, thrown);
  }
}
