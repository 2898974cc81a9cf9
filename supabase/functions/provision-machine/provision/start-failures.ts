/** Why a machine did not start, as far as Fly.io shows. */
import { AppError } from "../errors.ts";
import type { FlyError } from "../fly/errors.ts";
import { newestExit, type ProgramExit } from "../fly/exit-event.ts";
import type { FlyMachine } from "../fly/machines.ts";
import { truncate } from "../logging/log-format.ts";
import type { ProvisionContext } from "./context.ts";

/** A new machine does not leave these for `started`. `launch_failed` becomes `destroyed`. */
const FAILED_STATES = ["failed", "launch_failed", "destroying", "destroyed", "stopped", "replaced"];

/** What to make of a machine that does not leave `created`. */
export const NOT_READY_IN_TIME =
  "Fly.io did not have its image and disk ready in time; another region may";

/** Fly.io goes on preparing the machine's image and disk, far longer than nearly all need. */
export class StuckInCreated extends Error {
  override name = "StuckInCreated";

  constructor(readonly machine: FlyMachine) {
    super(`Fly machine ${machine.id} is still created in ${machine.region}`);
  }
}

/** Throws {@link AppError} `machine_failed` for a machine that will not start by itself. */
export function assertCanStart(machine: FlyMachine, context: ProvisionContext): void {
  if (!FAILED_STATES.includes(machine.state)) return;
  throw machineFailed(context, machine, `it is ${machine.state}`);
}

/** `machine` as it was last seen: its events say why. */
export function machineFailed(
  context: ProvisionContext,
  machine: FlyMachine,
  why: string,
): AppError {
  const { id, events } = machine;
  const exit = newestExit(events ?? []);
  const detail = exit?.description ?? lastEvent(context, machine);
  const message = [`Fly machine ${id} did not start: ${why}`, ...(detail ? [detail] : [])];
  return new AppError("machine_failed", message.join("; "), exit && { hint: hintAfter(exit) });
}

function hintAfter({ outOfMemory }: ProgramExit): string {
  return outOfMemory
    ? "The machine ran out of memory: try a higher cpuPriority; its operator finds more with `fly logs`"
    : "The program in the machine's image ended; its operator finds more with `fly logs`";
}

/** What there is to go by where no program ended. */
function lastEvent({ fly }: ProvisionContext, { events }: FlyMachine): string | undefined {
  const [event] = events ?? [];
  if (event === undefined) return undefined;
  // Each string on its own, and before truncating.
  const redacted = JSON.stringify(
    event,
    (_, value) => typeof value === "string" ? fly.redact(value) : value,
  );
  return `last event: ${truncate(redacted, 400)}`;
}

/** `machine` as it was last seen: its state says where it is stuck. */
export function timedOut({ id, state, region }: FlyMachine, cause?: FlyError): AppError {
  const error = `Fly machine ${id} did not start in time: it is still ${state} in ${region}`;
  return new AppError("provision_timeout", error, {
    cause,
    ...(state === "created" ? { hint: NOT_READY_IN_TIME } : {}),
  });
}
