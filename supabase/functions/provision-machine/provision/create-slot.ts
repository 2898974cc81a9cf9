/**
 * Waits for the row's slot to create its machine. The claim has reserved it in Postgres, where all
 * isolates of the project meet, so that together they keep to Fly.io's limit.
 */
import type { CreateSlot, ProvisioningMachine } from "../database/rows.ts";
import { AppError } from "../errors.ts";
import { outOfTime } from "../fly/errors.ts";
import { type Deadline, sleep } from "../time.ts";
import type { ProvisionContext, ProvisionInput } from "./context.ts";

/** What a machine needs to be created and to start once its slot has come. */
const START_ALLOWANCE = { share: 0.25, maxMs: 20_000 };

/** How long a create may wait for its slot and still leave time to start, of `workMs` in all. */
export function longestSlotWaitMs(workMs: number): number {
  return workMs - Math.min(START_ALLOWANCE.maxMs, workMs * START_ALLOWANCE.share);
}

/**
 * Resolves when the create may be sent. A create without a wait costs nothing; one that waited asks
 * once more, since slots move when users take turns or Fly.io slows all creates down. Throws
 * {@link AppError} `fly_rate_limited` when the slot moved out of reach, `machine_failed` when the
 * row was closed meanwhile, `provision_timeout`, `database_error`.
 */
export async function awaitCreateSlot(
  context: ProvisionContext,
  row: ProvisioningMachine,
  waitMs: number,
): Promise<void> {
  const { runtime, measurements, workDeadline } = context;
  if (waitMs <= 0) return;
  await measurements.time("slot", async () => {
    for (let leftMs = waitMs; leftMs > 0;) {
      const missedByMs = leftMs - workDeadline.remainingMs();
      if (missedByMs >= 0) throw slotTooLate(missedByMs);
      await sleep(runtime.clock, leftMs);
      leftMs = (await takeCreateSlot(context, row)).wait_ms;
    }
  });
}

/**
 * After Fly.io refused a create for going too fast: the row queues again, in front of all others.
 * Throws as {@link awaitCreateSlot} does.
 */
export async function awaitSlotAfterRefusal(
  context: ProvisionContext,
  { row, rate }: ProvisionInput,
  retryAfterMs: number,
): Promise<void> {
  const { claims, workDeadline } = context;
  const delayed = claims.delayCreates(row.id, retryAfterMs, rate, workDeadline);
  const slot = await asTimeout(workDeadline, delayed);
  await awaitCreateSlot(context, row, slot.wait_ms);
}

/**
 * Takes the row's slot if its time has come. Throws {@link AppError}: `machine_failed` when the row
 * was closed or its machine is to be destroyed; `provision_timeout`; `database_error`.
 */
export async function takeCreateSlot(
  { claims, workDeadline }: Pick<ProvisionContext, "claims" | "workDeadline">,
  row: ProvisioningMachine,
): Promise<CreateSlot> {
  const slot = await asTimeout(workDeadline, claims.takeCreateSlot(row.id, workDeadline));
  if (slot.outcome === "closed") throw destroyedMeanwhile();
  return slot;
}

/** A database call that the request's deadline cut short is a timeout, not a database error. */
export async function asTimeout<T>(deadline: Deadline, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw deadline.passed() ? outOfTime(error) : error;
  }
}

/** `missedByMs`: how much sooner the next slot would have had to come. */
export function slotTooLate(missedByMs: number): AppError {
  return new AppError("fly_rate_limited", "Too many machines are waiting to be created at Fly.io", {
    hint: "Fly.io limits how fast machines are created; try again when Retry-After has passed",
    retryAfterSeconds: Math.max(1, Math.ceil(missedByMs / 1_000)),
  });
}

/** A DELETE asked for the machine to be destroyed, or something else closed the row. */
export function destroyedMeanwhile(cause?: unknown): AppError {
  const error = "The machine was destroyed while it was being provisioned";
  return new AppError("machine_failed", error, { hint: error, cause });
}
