/**
 * Waits until the machine is `started`, notices at once when it never will be, and then says so in
 * the row.
 *
 * Fly's wait answers only when the state is reached or its time is up, so a failed machine is seen
 * by polling it now and then beside the wait. A machine that starts quickly, as most do, is never
 * polled.
 */
import { originOf } from "../database/machines.ts";
import type { ProvisioningMachine, RunningMachine } from "../database/rows.ts";
import { FlyError, toProvisioningError } from "../fly/errors.ts";
import {
  type FlyMachine,
  getMachine,
  isMachineGone,
  MAX_WAIT_SECONDS,
  waitForState,
} from "../fly/machines.ts";
import { backoffMs, sleep } from "../time.ts";
import type { ProvisionContext } from "./context.ts";
import { destroyedMeanwhile, takeCreateSlot } from "./create-slot.ts";
import { assertCanStart, machineFailed, StuckInCreated, timedOut } from "./start-failures.ts";

/** Far below Fly's limit of 5 Get Machine per second. */
const POLL_EVERY_MS = 2_500;
const MAX_FAILED_CALLS = 5;
const MIN_WAIT_MS = 1_000;
/** Some parts of Fly.io's API learn of a new machine later, and answer 404 until then. */
const MAY_BE_INVISIBLE_MS = 20_000;
/** Nearly all leave `created` within ten seconds; one was seen in it for more than two hours. */
const STUCK_AFTER_MS = 20_000;

/** The machine of a row whose start is awaited. */
export interface Starting {
  row: ProvisioningMachine;
  /** As it was last seen. */
  machine: FlyMachine;
  /** Whether another region may be tried should it get stuck; see {@link StuckInCreated}. */
  mayMove?: boolean;
  /** It stood by: one look right after its start may show the state before it. */
  wasStopped?: boolean;
}

/**
 * Returns the row as `running`. Writes Fly's id to the row beside the wait, and stops waiting when
 * the row no longer wants the machine. Throws {@link StuckInCreated}, and {@link AppError}:
 * `machine_failed`, `provision_timeout`, `database_error` or the code of a Fly.io failure.
 */
export async function startMachine(
  context: ProvisionContext,
  row: ProvisioningMachine,
  machine: FlyMachine,
  { mayMove = false }: Pick<Starting, "mayMove"> = {},
): Promise<RunningMachine> {
  const { machines, log, measurements, workDeadline } = context;
  const unwanted = new AbortController();
  const recording = machines.recordFlyMachine(row.id, machine, originOf(context), workDeadline)
    .then(
      (result) => {
        if (result.outcome !== "applied") unwanted.abort(destroyedMeanwhile());
      },
      (error) => {
        // Not fatal: the name leads to the machine as well, and the id is written again at the end.
        log.deferWarning("The Fly machine id could not be written yet", {
          reason: String(error.cause ?? error),
        });
      },
    );
  try {
    const starting = { row, machine, mayMove };
    await measurements.time("wait", () => waitUntilStarted(context, starting, unwanted.signal));
  } finally {
    await recording;
  }
  return await closeAsRunning(context, row, machine);
}

/** Says in the row that its machine was seen started. Throws {@link AppError}. */
export async function closeAsRunning(
  context: ProvisionContext,
  row: ProvisioningMachine,
  { id, region }: Pick<FlyMachine, "id" | "region">,
): Promise<RunningMachine> {
  const { machines, measurements, closeDeadline } = context;
  const closed = await measurements.time("finish", () =>
    machines.markRunning(
      row.id,
      { id, region, adopted: false },
      { ...originOf(context), detail: measurements.report() },
      closeDeadline,
    ));
  if (closed.outcome !== "applied") throw destroyedMeanwhile();
  return closed.machine;
}

/** Resolves once the machine is `started`. Throws {@link AppError}. */
export async function waitUntilStarted(
  context: ProvisionContext,
  starting: Starting,
  unwanted: AbortSignal,
): Promise<void> {
  if (starting.machine.state === "started") return;
  assertCanStart(starting.machine, context);
  const finished = new AbortController();
  const signal = AbortSignal.any([unwanted, finished.signal]);
  const waiting = keepWaiting(context, starting, signal);
  const polling = pollForFailure(context, starting, signal);
  try {
    await Promise.race([waiting, polling]);
  } finally {
    finished.abort();
    // The loser of the race ends with the abort; its rejection says nothing more.
    await Promise.allSettled([waiting, polling]);
  }
}

async function keepWaiting(
  { runtime, fly, log, measurements, workDeadline: deadline }: ProvisionContext,
  starting: Starting,
  signal: AbortSignal,
): Promise<void> {
  const { row, machine: { id } } = starting;
  let failedCalls = 0;
  for (let attempt = 0;;) {
    signal.throwIfAborted();
    if (deadline.passed()) throw timedOut(starting.machine);
    const timeoutSeconds = Math.min(
      MAX_WAIT_SECONDS,
      Math.max(1, Math.floor(deadline.remainingMs() / 1_000)),
    );
    try {
      const startedAt = runtime.clock.now();
      const wait = {
        app: row.fly_app_name,
        id,
        state: "started" as const,
        timeoutSeconds,
      };
      if (await waitForState(fly, wait, { deadline, signal })) return;
      // A wait that gives up before its time must not become a busy loop.
      const early = runtime.clock.now() - startedAt < MIN_WAIT_MS;
      if (early) await sleep(runtime.clock, MIN_WAIT_MS, signal);
    } catch (error) {
      if (!(error instanceof FlyError)) throw error;
      if (deadline.passed()) throw timedOut(starting.machine, error);
      // A machine that was just created may not be known everywhere yet, and one that is gone for
      // good is noticed by the poll beside this wait, so a 404 is not a failure here.
      if (!isMachineGone(error)) failedCalls++;
      error.attempt = ++attempt;
      const fatal = error.code === "fly_unauthorized" || failedCalls >= MAX_FAILED_CALLS;
      if (fatal) throw toProvisioningError(error, deadline);
      const waitMs = backoffMs(runtime, attempt, error.retryAfterMs);
      const next = `trying again in ${waitMs} ms`;
      measurements.failedCall("wait", error, next);
      log.deferWarning(`Fly.io wait failed, ${next}: ${error.message}`, {
        flyRequestId: error.flyRequestId,
      });
      await sleep(runtime.clock, Math.min(waitMs, deadline.remainingMs()), signal);
    }
  }
}

async function pollForFailure(
  context: ProvisionContext,
  starting: Starting,
  signal: AbortSignal,
): Promise<void> {
  const { runtime, fly, workDeadline: deadline } = context;
  const { row, machine: { id }, wasStopped = false, mayMove = false } = starting;
  const startedAt = runtime.clock.now();
  let lastSeenAt = startedAt;
  let mayShowBefore = wasStopped;
  for (;;) {
    await sleep(runtime.clock, POLL_EVERY_MS, signal);
    let seen: FlyMachine | null;
    try {
      seen = await getMachine(fly, row.fly_app_name, id, { deadline, signal });
    } catch (error) {
      // The poll is only a shortcut; the wait beside it decides about errors.
      if (error instanceof FlyError) continue;
      throw error;
    }
    if (seen === null) {
      // A DELETE writes its intent to the row before it destroys the machine.
      await takeCreateSlot(context, row);
      if (runtime.clock.now() - lastSeenAt < MAY_BE_INVISIBLE_MS) continue;
      throw machineFailed(context, starting.machine, "it no longer exists");
    }
    lastSeenAt = runtime.clock.now();
    starting.machine = seen;
    if (seen.state === "started") return;
    const stuck = seen.state === "created" && lastSeenAt - startedAt >= STUCK_AFTER_MS;
    if (stuck && mayMove) throw new StuckInCreated(seen);
    if (seen.state === "stopped" && mayShowBefore) mayShowBefore = false;
    else assertCanStart(seen, context);
  }
}
