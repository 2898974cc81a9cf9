/**
 * With FLY_REGION_FALLBACK a machine that is stuck in `created` is given up once, and made in the next
 * region instead. Names are unique within an app, and a row has one machine at a time: so the first is
 * confirmed gone before the second create is sent.
 */
import { AppError } from "../errors.ts";
import { FlyError } from "../fly/errors.ts";
import { destroyMachine, findMachineByName, type FlyMachine, getMachine } from "../fly/machines.ts";
import { Deadline, sleep } from "../time.ts";
import type { Progress, ProvisionContext, ProvisionInput } from "./context.ts";
import { createMachine } from "./create-machine.ts";
import { takeCreateSlot } from "./create-slot.ts";
import { NOT_READY_IN_TIME, type StuckInCreated } from "./start-failures.ts";

/** Fly.io destroys a machine within moments; one that it does not is left to the clean-up. */
const GONE_WITHIN_MS = 8_000;
const LOOK_EVERY_MS = 500;
/** Until one is called stuck, and what another needs then; with less, waiting is the better hope. */
const NEEDED_MS = 22_500 + 15_000;

/** Whether the machine may be given up for another region, should it get stuck. */
export function mayMove(
  { workDeadline }: Pick<ProvisionContext, "workDeadline">,
  input: ProvisionInput,
  machine: FlyMachine,
): boolean {
  return workDeadline.remainingMs() >= NEEDED_MS && regionsAfter(input, machine).length > 0;
}

function regionsAfter({ regions }: ProvisionInput, { region }: FlyMachine): string[] {
  return regions.slice(Math.max(0, regions.indexOf(region)) + 1);
}

/** Throws {@link AppError}, after which the request cleans up. */
export async function moveMachine(
  context: ProvisionContext,
  input: ProvisionInput,
  progress: Progress,
  { machine, message }: StuckInCreated,
): Promise<FlyMachine> {
  const { log, measurements } = context;
  const [region, ...others] = regionsAfter(input, machine);
  if (region === undefined || !await isGone(context, input, machine)) {
    throw new AppError("provision_timeout", message, { hint: NOT_READY_IN_TIME });
  }
  progress.machine = undefined;
  progress.mayExist = false;
  const next = `trying region ${region}`;
  measurements.failedCall("create", { message, flyRequestId: null }, next);
  log.deferWarning(`${message}, ${next}`);
  // A DELETE closes the row before it destroys the machine.
  await takeCreateSlot(context, input.row);
  const moved = await createMachine(
    context,
    { ...input, regions: [region, ...others], isLogged: true },
    progress,
  );
  progress.machine = moved;
  measurements.region = moved.region;
  return moved;
}

/** Destroys the machine. True once both its own answer and the list say that it is gone. */
async function isGone(
  { runtime, fly, workDeadline }: ProvisionContext,
  { row: { fly_app_name: app, machine_id: name } }: ProvisionInput,
  { id }: FlyMachine,
): Promise<boolean> {
  const deadline = workDeadline.within(GONE_WITHIN_MS);
  let asked = false;
  let absent = 0;
  for (; !deadline.passed(); await pause(runtime, deadline)) {
    try {
      if (!asked) await destroyMachine(fly, app, id, { deadline });
      asked = true;
      const seen = await getMachine(fly, app, id, { deadline });
      const listed = await findMachineByName(fly, { app, name }, { deadline });
      if (listed !== undefined || (seen !== null && seen.state !== "destroyed")) absent = 0;
      // One answer that lacks it proves nothing: Fly.io's reads are behind each other.
      else if (seen?.state === "destroyed" || ++absent > 1) return true;
    } catch (error) {
      if (!(error instanceof FlyError)) throw error;
    }
  }
  return false;
}

async function pause(
  { clock }: Pick<ProvisionContext["runtime"], "clock">,
  deadline: Deadline,
): Promise<void> {
  await sleep(clock, Math.min(LOOK_EVERY_MS, deadline.remainingMs()));
}
