/**
 * Starts, stops or suspends a machine at Fly.io and waits until it has. Each call may be repeated: a
 * machine that is in the wanted state stays in it.
 */
import type { Change } from "../database/changes.ts";
import type { LiveMachine, StopReason } from "../database/rows.ts";
import { AppError } from "../errors.ts";
import { FlyError, toProvisioningError } from "../fly/errors.ts";
import { newestExit } from "../fly/exit-event.ts";
import {
  changeMachine as sendChange,
  type FlyMachine,
  getMachine,
  isMachineGone,
  waitForState,
} from "../fly/machines.ts";
import type { FlyContext } from "../hosting/hosting.ts";
import type { Measurements } from "../logging/measurements.ts";
import { backoffMs, sleep } from "../time.ts";
import { stopReasonOf } from "./stop-reason.ts";
import { stateConflict } from "./usable-machine.ts";

/** Of those that leave open whether the call took effect. */
const MAX_FAILED_CALLS = 5;
/** Recorded: a start is refused for 0.4 to 1 s after `stopped` was reported. */
const BUSY_MS = 500;
/** After that long the machine itself is looked at. */
const WAIT_SECONDS = 5;
const MIN_WAIT_MS = 1_000;

const WANTED = {
  start: { wait: "started", accepted: ["started"] },
  stop: { wait: "stopped", accepted: ["stopped"] },
  // What cannot be suspended is stopped: https://fly.io/docs/reference/suspend-resume/
  suspend: { wait: "suspended", accepted: ["suspended", "stopped"] },
} as const;
/** A machine does not leave these by itself. */
const FINAL = ["failed", "destroying", "destroyed"];
/** A machine leaves these by itself, so a change that they forbid can be asked for again. */
const PASSING = ["created", "starting", "restarting", "stopping", "suspending", "replacing"];

export interface ChangeContext extends FlyContext {
  measurements: Measurements;
}

/** What the machine was seen as in the end. */
export type Changed = { started: true } | { started: false; reason: StopReason };

/**
 * Throws {@link AppError}: `machine_state_conflict` when the machine's state at Fly.io forbids the
 * change, `fly_capacity` when its host has no room for it any more, `machine_failed` when it did not
 * come up, `provision_timeout`, or the code of a Fly.io failure.
 */
export async function changeMachine(
  context: ChangeContext,
  row: LiveMachine,
  change: Change,
): Promise<Changed> {
  let version: string | undefined;
  if (change === "stop") {
    const now = await look(context, row);
    // The reason of an earlier stop stays.
    if (now.state === "stopped" && row.status === "stopped") {
      return { started: false, reason: row.stop_reason };
    }
    version = now.instance_id ?? undefined;
  }
  const already = await ask(context, row, change);
  if (already) return changed(already);
  for (let seenStopped = 0;;) {
    if (context.deadline.passed()) throw tooLate(change);
    if (await waited(context, row, { change, version })) return outcomeOf(change);
    const seen = await look(context, row);
    if (isAccepted(change, seen)) return changed(seen);
    // One look right after the start may show the state before it.
    if (seen.state === "stopped") seenStopped++;
    if (FINAL.includes(seen.state) || seenStopped > 1) throw didNotDoIt(change, seen);
  }
}

/** Sends the change until Fly.io takes it. Returns the machine if it is in the wanted state already. */
async function ask(
  context: ChangeContext,
  row: LiveMachine,
  change: Change,
): Promise<FlyMachine | null> {
  const { runtime, fly, deadline } = context;
  for (let failedCalls = 0;;) {
    let failure: FlyError;
    try {
      const call = { app: row.fly_app_name, id: row.fly_machine_id, change };
      await sendChange(fly, call, { deadline });
      return null;
    } catch (error) {
      if (!(error instanceof FlyError)) throw error;
      failure = error;
    }
    if (failure.refusal === "already_starting" && change === "start") return null;
    if (isMachineGone(failure)) throw notKnown(failure);
    if (failure.refusal === "no_room") throw noRoom(failure);
    let waitMs = BUSY_MS;
    if (failure.refusal === "wrong_state") {
      const seen = await look(context, row);
      if (isAccepted(change, seen)) return seen;
      if (!PASSING.includes(seen.state)) throw forbidden(change, seen);
    } else if (failure.refusal !== "busy") {
      failure.attempt = ++failedCalls;
      if (!failure.mayPass || failedCalls >= MAX_FAILED_CALLS) {
        throw giveUp(context, change, failure);
      }
      waitMs = backoffMs(runtime, failedCalls, failure.retryAfterMs);
    }
    if (waitMs >= deadline.remainingMs()) throw giveUp(context, change, failure);
    context.measurements.failedCall(change, failure, `trying again in ${waitMs} ms`);
    await sleep(runtime.clock, waitMs);
  }
}

/** False when the state was not reached, or this is not known. */
async function waited(
  context: ChangeContext,
  row: LiveMachine,
  { change, version }: { change: Change; version: string | undefined },
): Promise<boolean> {
  const { runtime, fly, deadline, measurements } = context;
  const startedAt = runtime.clock.now();
  const wait = {
    app: row.fly_app_name,
    id: row.fly_machine_id,
    state: WANTED[change].wait,
    ...(version === undefined ? {} : { version }),
    timeoutSeconds: Math.max(
      1,
      Math.min(WAIT_SECONDS, Math.floor(deadline.remainingMs() / 1_000)),
    ),
  };
  try {
    if (await waitForState(fly, wait, { deadline })) return true;
  } catch (error) {
    if (!(error instanceof FlyError)) throw error;
    if (error.code === "fly_unauthorized") throw giveUp(context, change, error);
    measurements.failedCall("wait", error, "looking at the machine");
  }
  // A wait that ends before its time must not become a busy loop.
  const leftMs = startedAt + MIN_WAIT_MS - runtime.clock.now();
  if (leftMs > 0) await sleep(runtime.clock, Math.min(leftMs, deadline.remainingMs()));
  return false;
}

/** The machine as it is now. */
async function look(context: ChangeContext, row: LiveMachine): Promise<FlyMachine> {
  const { runtime, fly, deadline } = context;
  for (let attempt = 1;; attempt++) {
    try {
      const { fly_app_name: app, fly_machine_id: id } = row;
      const found = await getMachine(fly, app, id, { deadline });
      if (found === null) throw notKnown();
      return found;
    } catch (error) {
      if (!(error instanceof FlyError)) throw error;
      error.attempt = attempt;
      if (error.appIsUnknown) throw notKnown(error);
      const waitMs = backoffMs(runtime, attempt, error.retryAfterMs);
      if (!error.mayPass || attempt >= MAX_FAILED_CALLS || waitMs >= deadline.remainingMs()) {
        throw toProvisioningError(error, deadline);
      }
      context.measurements.failedCall("get", error, `trying again in ${waitMs} ms`);
      await sleep(runtime.clock, waitMs);
    }
  }
}

function isAccepted(change: Change, { state }: FlyMachine): boolean {
  return WANTED[change].accepted.some((accepted) => accepted === state);
}

function outcomeOf(change: Change): Changed {
  if (change === "start") return { started: true };
  return { started: false, reason: change === "stop" ? "requested" : "suspended" };
}

function changed(seen: FlyMachine): Changed {
  if (seen.state === "started") return { started: true };
  return { started: false, reason: stopReasonOf(seen, false) };
}

function giveUp(
  { deadline, measurements }: ChangeContext,
  change: Change,
  failure: FlyError,
): AppError {
  measurements.failedCall(change, failure);
  return deadline.passed() ? tooLate(change, failure) : toProvisioningError(failure, deadline);
}

function tooLate(change: Change, cause?: FlyError): AppError {
  return new AppError("provision_timeout", `The machine did not ${change} in time`, {
    hint: "It may still do so; its row shows its state within a minute",
    cause,
  });
}

function didNotDoIt(change: Change, seen: FlyMachine): AppError {
  const exit = newestExit(seen.events ?? []);
  const why = [`it is ${seen.state}`, ...(exit ? [exit.description] : [])].join("; ");
  return new AppError("machine_failed", `The machine did not ${change}: ${why}`);
}

function forbidden(change: Change, { state }: FlyMachine): AppError {
  return stateConflict(`is ${state} and cannot ${change}`, "Its row shows its state shortly", 60);
}

/** A stopped machine has no claim on its host's memory. flyctl, internal/command/machine/start.go */
function noRoom(cause: FlyError): AppError {
  return new AppError("fly_capacity", cause.message, {
    hint: "The machine's host has no room for it; destroy it and provision another, or try later",
    cause,
  });
}

/** One such answer does not prove that it is gone; reconcile looks twice. */
function notKnown(cause?: FlyError): AppError {
  return new AppError("fly_unavailable", "Fly.io does not know the machine at the moment", {
    hint: "If it is gone, its row says so within minutes",
    retryAfterSeconds: 60,
    cause,
  });
}
