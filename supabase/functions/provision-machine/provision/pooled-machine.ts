/**
 * A row that got a machine of the pool: one call starts the machine, another waits for it. A stopped
 * machine has no claim on its host, so its start can be refused for lack of room; the row then gets
 * the next one of the pool, and in the end an ordinary create.
 */
import type { Pool, Replacement } from "../database/pool.ts";
import { originOf } from "../database/machines.ts";
import type { LiveMachine, ProvisioningMachine } from "../database/rows.ts";
import { AppError } from "../errors.ts";
import { FlyError, toProvisioningError } from "../fly/errors.ts";
import { changeMachine, type FlyMachine, isMachineGone } from "../fly/machines.ts";
import { backoffMs, sleep } from "../time.ts";
import type { Progress, ProvisionContext, ProvisionInput } from "./context.ts";
import { asTimeout, destroyedMeanwhile, slotTooLate } from "./create-slot.ts";
import { giveUp } from "./give-up.ts";
import { randomNamePart } from "./machine-config.ts";
import { provisionMachine } from "./provision-machine.ts";
import { closeAsRunning, waitUntilStarted } from "./start-machine.ts";

/** A region without room refuses every start: then the pool is not used up in vain. */
const MAX_REFUSED = 3;
const MAX_FAILED_CALLS = 5;
/** Recorded: a start is refused for 0.4 to 1 s after `stopped` was reported. */
const BUSY_MS = 250;

/** Where the next machine comes from. */
export interface PoolSource {
  pool: Pool;
  /** What the request would be given by the pool, or created with. */
  wanted: Omit<Replacement, "refusedName" | "reason" | "random">;
}

/** As {@link provisionMachine}, for a row that names a machine of the pool. */
export async function provisionPooledMachine(
  context: ProvisionContext,
  claimed: ProvisionInput,
  source: PoolSource,
): Promise<LiveMachine> {
  const { log, measurements } = context;
  const progress: Progress = { machine: undefined, mayExist: true, appMayExist: true };
  let input = claimed;
  try {
    for (let refused = 0;;) {
      const machine = machineOf(input.row);
      const unfit = await measurements.time("wait", () => start(context, input.row, machine));
      if (unfit === null) {
        log.machineOfPool(machine.id, machine.region);
        return await closeAsRunning(context, input.row, machine);
      }
      refused++;
      const { row, slotWaitMs } = await replace(context, input.row, source, { unfit, refused });
      input = { ...await input.inputFor(row), slotWaitMs };
      if (row.fly_machine_id === null) break;
    }
  } catch (thrown) {
    return await giveUp(context, input, progress, thrown);
  }
  return await provisionMachine(context, input);
}

function machineOf({ fly_machine_id, machine_id, region }: ProvisioningMachine): FlyMachine {
  if (fly_machine_id === null) {
    throw new AppError("internal_error", "A machine of the pool has no id at Fly.io");
  }
  return { id: fly_machine_id, name: machine_id, state: "starting", region };
}

/** Null once it is `started`; otherwise why this machine cannot be. Throws {@link AppError}. */
async function start(
  context: ProvisionContext,
  row: ProvisioningMachine,
  machine: FlyMachine,
): Promise<FlyError | null> {
  const unfit = await sendStart(context, row, machine);
  if (unfit !== null) return unfit;
  const starting = { row, machine, wasStopped: true };
  await waitUntilStarted(context, starting, new AbortController().signal);
  return null;
}

/** A start may be sent again: the machine is up, or comes up, all the same. */
async function sendStart(
  { runtime, fly, measurements, workDeadline: deadline }: ProvisionContext,
  { fly_app_name: app }: ProvisioningMachine,
  { id }: FlyMachine,
): Promise<FlyError | null> {
  for (let failedCalls = 0;;) {
    try {
      await changeMachine(fly, { app, id, change: "start" }, { deadline });
      return null;
    } catch (error) {
      if (!(error instanceof FlyError)) throw error;
      if (error.refusal === "already_starting") return null;
      const unfit = error.refusal === "no_room" || error.refusal === "wrong_state" ||
        isMachineGone(error) || error.appIsUnknown;
      if (unfit) return error;
      error.attempt = ++failedCalls;
      const busy = error.refusal === "busy";
      const waitMs = busy ? BUSY_MS : backoffMs(runtime, failedCalls, error.retryAfterMs);
      const again = error.mayPass && (busy || failedCalls < MAX_FAILED_CALLS);
      if (!again || waitMs >= deadline.remainingMs()) {
        measurements.failedCall("start", error);
        throw toProvisioningError(error, deadline);
      }
      measurements.failedCall("start", error, `trying again in ${waitMs} ms`);
      await sleep(runtime.clock, waitMs);
    }
  }
}

/** The row with another machine of the pool, or with a new name. Throws {@link AppError}. */
async function replace(
  context: ProvisionContext,
  row: ProvisioningMachine,
  { pool, wanted }: PoolSource,
  { unfit, refused }: { unfit: FlyError; refused: number },
): Promise<{ row: ProvisioningMachine; slotWaitMs: number }> {
  const { runtime, log, measurements, workDeadline } = context;
  const reason = `it could not be started: ${unfit.message}`;
  measurements.failedCall("start", unfit, "taking the next");
  log.deferWarning(`A machine of the warm pool is left to reconcile, ${reason}`, {
    machineName: row.machine_id,
    flyRequestId: unfit.flyRequestId,
  });
  const replacement = {
    ...wanted,
    ...(refused < MAX_REFUSED ? {} : { configHash: "" }),
    refusedName: row.machine_id,
    reason,
    random: randomNamePart(runtime),
  };
  const replacing = pool.replace(row.id, replacement, originOf(context), workDeadline);
  const replaced = await asTimeout(workDeadline, replacing);
  switch (replaced.outcome) {
    case "pooled":
    case "create":
      return { row: replaced.machine, slotWaitMs: replaced.wait_ms };
    case "no_slot":
      throw slotTooLate(replaced.wait_ms - wanted.maxSlotWaitMs);
    case "full":
      throw toProvisioningError(unfit, workDeadline);
    case "conflict":
    case "not_found":
      throw destroyedMeanwhile();
  }
}
