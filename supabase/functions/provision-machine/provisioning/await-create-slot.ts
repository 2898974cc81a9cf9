/**
 * Waits for the row's turn to create its machine. The claim has reserved a slot in Postgres, where
 * all isolates of the project meet, so that together they keep to Fly.io's limit.
 */
import type { CloudMachine, CreateSlot } from "../database/rows.ts";
import type { Deadline } from "../deadline.ts";
import { AppError } from "../errors.ts";
import { outOfTime } from "../fly/provisioning-error.ts";
import { sleep } from "../runtime.ts";
import type { ProvisionContext } from "./provision-machine.ts";

/** What a machine needs to be created and to start once its turn has come. */
const START_ALLOWANCE = { share: 0.25, maxMs: 20_000 };

/** How long a create may wait for its turn and still leave time to start, of `workMs` in all. */
export function longestWaitMs(workMs: number): number {
  return workMs - Math.min(START_ALLOWANCE.maxMs, workMs * START_ALLOWANCE.share);
}

type Context = Pick<ProvisionContext, "runtime" | "machines" | "workDeadline">;

/**
 * Resolves when the create may be sent. A create that need not wait costs nothing; one that waited
 * asks once more, since slots move when users take turns or Fly.io slows everybody down. Throws
 * {@link AppError} `fly_rate_limited` when the turn moved out of reach, `machine_failed` when the
 * row was closed meanwhile, `database_error`.
 */
export async function awaitCreateSlot(
  { runtime, machines, workDeadline }: Context,
  row: CloudMachine,
  waitMs: number,
): Promise<void> {
  let leftMs = waitMs;
  while (leftMs > 0) {
    if (leftMs >= workDeadline.remainingMs()) throw noSlot(leftMs - workDeadline.remainingMs());
    await sleep(runtime.clock, leftMs);
    leftMs = (await takeCreateSlot({ machines, workDeadline }, row)).wait_ms;
  }
}

/**
 * Takes the row's slot if its time has come. Throws {@link AppError}: `machine_failed` when somebody
 * closed the row or wants its machine gone; `provision_timeout`; `database_error`.
 */
export async function takeCreateSlot(
  { machines, workDeadline }: Pick<ProvisionContext, "machines" | "workDeadline">,
  row: CloudMachine,
): Promise<CreateSlot> {
  const slot = await withinTime(workDeadline, machines.takeCreateSlot(row.id, workDeadline));
  if (slot.outcome === "closed") throw destroyedMeanwhile();
  return slot;
}

/** A call that was cut short because the request's time is up says nothing of the database. */
export async function withinTime<T>(deadline: Deadline, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw deadline.passed() ? outOfTime(error) : error;
  }
}

/** `missedByMs`: how much sooner the next slot would have had to come. */
export function noSlot(missedByMs: number): AppError {
  return new AppError("fly_rate_limited", "Too many machines are waiting to be created at Fly.io", {
    message: "Fly.io limits how fast machines are created; try again when Retry-After has passed",
    retryAfterSeconds: Math.max(1, Math.ceil(missedByMs / 1_000)),
  });
}

/** Somebody asked for the machine to be destroyed, or closed the row. */
export function destroyedMeanwhile(cause?: unknown): AppError {
  return new AppError(
    "machine_failed",
    "The machine was destroyed while it was being provisioned",
    { cause },
  );
}
