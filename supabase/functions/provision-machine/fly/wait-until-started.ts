/**
 * Waits until a machine is `started`, and notices at once when it never will be.
 *
 * Fly's wait answers only when the state is reached or its time is out, so a machine that fails
 * is seen by looking at it from time to time beside the wait. A machine that starts quickly, as
 * most do, costs no look at all.
 */
import { AppError, retryAfter } from "../errors.ts";
import type { Deadline } from "../deadline.ts";
import { cut } from "../logging/format.ts";
import { type Runtime, sleep } from "../runtime.ts";
import { backoffMs } from "./backoff.ts";
import type { FlyClient } from "./client.ts";
import { FlyError } from "./errors.ts";
import {
  type FlyMachine,
  getMachine,
  isMachineGone,
  MAX_WAIT_SECONDS,
  waitForStarted,
} from "./machines.ts";
import { toProvisioningError } from "./provisioning-error.ts";

/** Far below Fly's limit of 5 Get Machine a second. */
const LOOK_EVERY_MS = 2_500;
const MAX_FAILED_CALLS = 5;
const MIN_WAIT_MS = 1_000;
/** With a reason of its own an abort does not make a DOMException and its stack: this happens at every wait. */
const SETTLED = "settled";
/** From these a new machine does not get to `started` by itself. `launch_failed` becomes `destroyed`. */
const FAILED_STATES = ["failed", "launch_failed", "destroying", "destroyed", "stopped", "replaced"];

export interface WaitUntilStartedOptions {
  runtime: Pick<Runtime, "clock" | "random">;
  fly: FlyClient;
  app: string;
  machine: FlyMachine;
  deadline: Deadline;
  /** Aborted when nobody wants the machine any more. */
  signal: AbortSignal;
  onRetry(error: FlyError, waitMs: number): void;
}

/**
 * Resolves once the machine was seen `started`. Throws {@link AppError}: `machine_failed`,
 * `provision_timeout` or the code of a Fly.io failure; or the signal's reason.
 */
export async function waitUntilStarted(options: WaitUntilStartedOptions): Promise<void> {
  if (options.machine.state === "started") return;
  assertCanStart(options.machine, options.fly);
  const finished = new AbortController();
  const signal = AbortSignal.any([options.signal, finished.signal]);
  const waiting = keepWaiting({ ...options, signal });
  // Made only when it is due, since most machines have started by then.
  const watching = Promise.withResolvers<void>();
  const cancelWatch = options.runtime.clock.after(
    LOOK_EVERY_MS,
    () => watchForFailure({ ...options, signal }).then(watching.resolve, watching.reject),
  );
  try {
    await Promise.race([waiting, watching.promise]);
  } finally {
    cancelWatch();
    finished.abort(SETTLED);
    // The loser of the race ends with the abort; its rejection has nothing more to say.
    watching.promise.catch(() => {});
    await Promise.allSettled([waiting]);
  }
}

async function keepWaiting(options: WaitUntilStartedOptions): Promise<void> {
  const { runtime, fly, app, machine, deadline, signal } = options;
  for (let failedCalls = 0;;) {
    signal.throwIfAborted();
    if (deadline.passed()) throw timedOut(machine);
    const seconds = Math.min(
      MAX_WAIT_SECONDS,
      Math.max(1, Math.floor(deadline.remainingMs() / 1_000)),
    );
    try {
      const askedAt = runtime.clock.now();
      if (await waitForStarted(fly, app, machine.id, seconds, { deadline, signal })) return;
      // A wait that gives up before its time must not become a busy loop.
      const early = runtime.clock.now() - askedAt < MIN_WAIT_MS;
      if (early) await sleep(runtime.clock, MIN_WAIT_MS, signal);
    } catch (error) {
      if (!(error instanceof FlyError)) throw error;
      if (deadline.passed()) throw timedOut(machine, error);
      // 404 included: a machine that was just created may not be known everywhere yet, and one
      // that is gone for good is noticed by the look beside this wait.
      failedCalls++;
      error.attempt = failedCalls;
      const fatal = error.code === "fly_unauthorized" || failedCalls >= MAX_FAILED_CALLS;
      // Fast refusals can outrun that look.
      if (fatal && isMachineGone(error)) throw machineFailed(machine, "it no longer exists", error);
      if (fatal) throw toProvisioningError(error, deadline);
      const waitMs = backoffMs(runtime, failedCalls, error.retryAfterMs);
      options.onRetry(error, waitMs);
      await sleep(runtime.clock, Math.min(waitMs, deadline.remainingMs()), signal);
    }
  }
}

async function watchForFailure(options: WaitUntilStartedOptions): Promise<void> {
  const { runtime, fly, app, machine, deadline, signal } = options;
  for (;; await sleep(runtime.clock, LOOK_EVERY_MS, signal)) {
    let seen: FlyMachine | null;
    try {
      seen = await getMachine(fly, app, machine.id, { deadline, signal });
    } catch (error) {
      // This look is only a shortcut; the wait beside it decides about errors.
      if (error instanceof FlyError) continue;
      throw error;
    }
    if (seen === null) throw machineFailed(machine, "it no longer exists");
    if (seen.state === "started") return;
    assertCanStart(seen, fly);
  }
}

function assertCanStart(machine: FlyMachine, fly: FlyClient): void {
  if (!FAILED_STATES.includes(machine.state)) return;
  const [event] = machine.events ?? [];
  // Each string on its own, and before the cut.
  const told = JSON.stringify(
    event,
    (_, value) => typeof value === "string" ? fly.redact(value) : value,
  );
  const detail = event === undefined ? "" : `; last event: ${cut(told, 400)}`;
  throw machineFailed(machine, `it is ${machine.state}${detail}`);
}

function machineFailed(machine: FlyMachine, why: string, cause?: FlyError): AppError {
  return new AppError("machine_failed", `Fly machine ${machine.id} did not start: ${why}`, {
    message: "The machine failed to start; check its image and its logs at Fly.io",
    cause,
  });
}

function timedOut(machine: FlyMachine, cause?: FlyError): AppError {
  return new AppError("provision_timeout", `Fly machine ${machine.id} did not start in time`, {
    message: "The machine did not start in time and was given up; try again",
    ...retryAfter("provision_timeout"),
    cause,
  });
}
