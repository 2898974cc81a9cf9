/**
 * The use case: from a claimed row to a machine that was seen started, or to a row in `error`
 * with no machine left behind. The first to close the row decides the outcome; the answer always
 * says what the row says.
 */
import type { LiveMachine } from "../database/rows.ts";
import { AppError } from "../errors.ts";
import type { FlyMachine } from "../fly/machines.ts";
import type { PrepareContext } from "../hosting/hosting.ts";
import { everyNameTaken, MAX_NAMES, takeAnotherName } from "./another-name.ts";
import type { Progress, ProvisionContext, ProvisionInput } from "./context.ts";
import { createMachine } from "./create-machine.ts";
import { awaitCreateSlot, awaitSlotAfterRefusal } from "./create-slot.ts";
import { giveUp } from "./give-up.ts";
import { mayMove, moveMachine } from "./move-machine.ts";
import { StuckInCreated } from "./start-failures.ts";
import { startMachine } from "./start-machine.ts";

/**
 * Returns the row once it is `running`; one that has stopped since is `stopped`. Throws {@link AppError} otherwise, after the row was
 * closed and what may be left at Fly.io was destroyed or left to reconcile.
 */
export async function provisionMachine(
  context: ProvisionContext,
  claimed: ProvisionInput,
): Promise<LiveMachine> {
  const { log, measurements } = context;
  const progress: Progress = { machine: undefined, mayExist: false, appMayExist: false };
  let input = claimed;
  try {
    if (input.isFull) throw noRoom(input.regions[0]);
    await awaitCreateSlot(context, input.row, input.slotWaitMs);
    const machine = await measurements.time("create", async () => {
      for (let names = 1; !await prepareApp(context, input, progress); names++) {
        if (names === MAX_NAMES) throw everyNameTaken();
        input = await takeAnotherName(context, input);
      }
      return await makeMachine(context, input, progress);
    });
    measurements.region = machine.region;
    log.flyMachineCreated(machine.id, machine.region);
    return await startOrMove(context, input, progress, machine);
  } catch (thrown) {
    return await giveUp(context, input, progress, thrown);
  }
}

/** As Fly.io would say to the create, only sooner. */
function noRoom(region: string): AppError {
  return new AppError("fly_capacity", `Fly.io has no room for the machine in ${region}`);
}

/** A machine that is stuck is given up once, where another region may be tried. */
async function startOrMove(
  context: ProvisionContext,
  input: ProvisionInput,
  progress: Progress,
  machine: FlyMachine,
): Promise<LiveMachine> {
  try {
    const options = { mayMove: mayMove(context, input, machine) };
    return await startMachine(context, input.row, machine, options);
  } catch (thrown) {
    if (!(thrown instanceof StuckInCreated)) throw thrown;
    const moved = await context.measurements.time(
      "create",
      () => moveMachine(context, input, progress, thrown),
    );
    return await startMachine(context, input.row, moved);
  }
}

/** Makes the app that the machine has of its own. Returns whether its name is still to be had. */
async function prepareApp(
  context: ProvisionContext,
  input: ProvisionInput,
  progress: Progress,
): Promise<boolean> {
  const { hosting } = context;
  progress.appMayExist = hosting.claim.ownApp;
  const prepared = await hosting.prepare(prepareContext(context, input), input.row);
  if (prepared === "foreign") progress.appMayExist = false;
  return prepared === "ready";
}

/** The app's addresses beside the machine. */
async function makeMachine(
  context: ProvisionContext,
  input: ProvisionInput,
  progress: Progress,
): Promise<FlyMachine> {
  const { hosting } = context;
  const reachable = hosting.makeReachable(prepareContext(context, input), input.row);
  // Both have ended before a failure of one leads to the clean-up.
  const [machine, addresses] = await Promise.allSettled([
    createMachine(context, input, progress),
    reachable,
  ]);
  if (machine.status === "fulfilled") progress.machine = machine.value;
  else throw machine.reason;
  if (addresses.status === "rejected") throw addresses.reason;
  return machine.value;
}

function prepareContext(context: ProvisionContext, input: ProvisionInput): PrepareContext {
  return {
    ...context,
    deadline: context.workDeadline,
    awaitTurn: (retryAfterMs) => awaitSlotAfterRefusal(context, input, retryAfterMs),
  };
}
