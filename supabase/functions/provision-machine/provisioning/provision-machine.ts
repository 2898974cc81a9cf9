/**
 * The use case: from a claimed row to a machine that was seen started, or to a row in `error`
 * with no machine left behind. Whoever closes the row first decides the outcome; the answer always
 * says what the row says.
 */
import type { CloudMachines, Origin } from "../database/cloud-machines.ts";
import type { CloudMachine } from "../database/rows.ts";
import type { Deadline } from "../deadline.ts";
import { AppError, isProvisioningErrorCode, toAppError } from "../errors.ts";
import type { FlyClient } from "../fly/client.ts";
import { CreateFailed, createMachineOnce } from "../fly/create-once.ts";
import type { FlyMachine } from "../fly/machines.ts";
import { waitUntilStarted } from "../fly/wait-until-started.ts";
import type { RequestLog } from "../logging/request-log.ts";
import type { Redactor } from "../logging/redactor.ts";
import type { Runtime } from "../runtime.ts";
import { removeLeftovers } from "./remove-leftovers.ts";
import type { CreateMachineBody } from "../fly/machines.ts";
import type { Measurements } from "./measurements.ts";

/** While the request itself cleans up, reconcile keeps out of its way for this long. */
const CLEANUP_LEASE_MS = 60_000;

export interface ProvisionContext {
  runtime: Runtime;
  fly: FlyClient;
  machines: CloudMachines;
  log: RequestLog;
  redactor: Redactor;
  measurements: Measurements;
  requestId: string;
  /** When the request came in, milliseconds since the epoch. */
  startedAt: number;
  /** Creating and waiting stop here … */
  workDeadline: Deadline;
  /** … so that closing the row and cleaning up have time until here. */
  closeDeadline: Deadline;
}

export interface ProvisionInput {
  row: CloudMachine;
  app: string;
  body: CreateMachineBody;
  /** The body as it may be logged. */
  loggableBody: CreateMachineBody;
  identity: Record<string, string>;
  regions: string[];
}

/**
 * Returns the row once it is `running`. Throws {@link AppError} otherwise, after the row was
 * closed and what may be left at Fly.io was destroyed or left to reconcile.
 */
export async function provisionMachine(
  context: ProvisionContext,
  input: ProvisionInput,
): Promise<CloudMachine> {
  const progress: Progress = { machine: undefined, mayExist: false };
  try {
    progress.machine = await create(context, input, progress);
    return await start(context, input.row, progress.machine, input.app);
  } catch (thrown) {
    return await giveUp(context, input, progress, thrown);
  }
}

interface Progress {
  machine: FlyMachine | undefined;
  /** Fly.io may hold a machine of this row. */
  mayExist: boolean;
}

async function create(
  context: ProvisionContext,
  { app, body, loggableBody, identity, regions }: ProvisionInput,
  progress: Progress,
): Promise<FlyMachine> {
  const { runtime, fly, log, measurements, workDeadline } = context;
  return await measurements.time("create", async () => {
    try {
      progress.mayExist = true;
      const machine = await createMachineOnce({
        runtime,
        fly,
        app,
        body,
        identity,
        regions,
        deadline: workDeadline,
        observer: {
          calling(region, attempt) {
            measurements.createAttempts = attempt;
            if (attempt === 1) {
              log.callingFly(region, app, body.name, body.config.image, {
                ...loggableBody,
                region,
              });
            }
          },
          succeeded({ status, statusText, flyRequestId, durationMs }) {
            measurements.flyRequestIds.push(flyRequestId);
            log.flyResponse(status, statusText, { flyRequestId, durationMs });
          },
          failed(error, next) {
            measurements.failedCall("create", error, next);
            const { status, statusText, flyRequestId, attempt } = error;
            if (next) {
              log.retrying(`Fly.io create failed, ${next}: ${error.message}`, {
                attempt,
                flyRequestId,
              });
            } else if (status !== undefined) log.flyResponse(status, statusText, { flyRequestId });
          },
        },
      });
      log.flyMachineCreated(machine.id, machine.region);
      return machine;
    } catch (error) {
      if (error instanceof CreateFailed) {
        progress.mayExist = error.mayExist;
        throw error.error;
      }
      throw error;
    }
  });
}

/** Writes Fly's id to the row beside the wait, and stops waiting when nobody wants the machine. */
async function start(
  context: ProvisionContext,
  row: CloudMachine,
  machine: FlyMachine,
  app: string,
): Promise<CloudMachine> {
  const { runtime, fly, machines, log, measurements, workDeadline, closeDeadline } = context;
  const unwanted = new AbortController();
  const recording = machines.recordFlyMachine(row.id, machine, originOf(context), workDeadline)
    .then(
      (result) => {
        if (result.outcome !== "applied") unwanted.abort(destroyedMeanwhile());
      },
      (error) => {
        // Not fatal: the name leads to the machine as well, and the id is written again at the end.
        log.retrying("The Fly machine id could not be written yet", {
          reason: String(error.cause ?? error),
        });
      },
    );
  try {
    await measurements.time("wait", () =>
      waitUntilStarted({
        runtime,
        fly,
        app,
        machine,
        deadline: workDeadline,
        signal: unwanted.signal,
        onRetry(error, waitMs) {
          measurements.failedCall("wait", error, `trying again in ${waitMs} ms`);
          log.retrying(`Fly.io wait failed, trying again in ${waitMs} ms: ${error.message}`, {
            flyRequestId: error.flyRequestId,
          });
        },
      }));
  } finally {
    await recording;
  }
  const closed = await measurements.time("finish", () =>
    machines.markRunning(
      row.id,
      { id: machine.id, region: machine.region, adopted: false },
      { ...originOf(context), detail: measurements.report() },
      closeDeadline,
    ));
  if (closed.outcome !== "applied") throw destroyedMeanwhile();
  return closed.machine;
}

/** Somebody asked for the machine to be destroyed, or closed the row. */
function destroyedMeanwhile(cause?: unknown): AppError {
  return new AppError(
    "machine_failed",
    "The machine was destroyed while it was being provisioned",
    {
      cause,
    },
  );
}

/** Closes the row, then removes what may be left at Fly.io, then says why. */
async function giveUp(
  context: ProvisionContext,
  input: ProvisionInput,
  progress: Progress,
  thrown: unknown,
): Promise<CloudMachine> {
  const { machines, log, redactor, measurements, closeDeadline } = context;
  const { row } = input;
  let error = toAppError(thrown);
  let stale = false;
  const flyMachineId = progress.machine?.id ?? null;
  try {
    const closed = await measurements.time("finish", () =>
      machines.markError(
        row.id,
        {
          from: "provisioning",
          code: isProvisioningErrorCode(error.code) ? error.code : "internal_error",
          message: redactor.redact(error.message),
          flyMachineId,
          cleanupInMs: progress.mayExist ? CLEANUP_LEASE_MS : null,
        },
        { ...originOf(context), detail: measurements.report() },
        closeDeadline,
      ));
    if (closed.outcome === "not_found") error = rowGone(thrown);
    else if (closed.outcome === "conflict") {
      // Reconcile saw the machine start and adopted it: then that is the truth to be told.
      if (closed.machine.status === "running") return closed.machine;
      error = closedOtherwise(closed.machine, thrown);
    }
  } catch (databaseError) {
    stale = true;
    log.alsoFailed("The row could not be marked as error; reconcile will", databaseError);
  }

  const clean = !progress.mayExist ||
    await measurements.time("cleanup", () => removeLeftovers(context, input, flyMachineId));
  if (clean && !stale && progress.mayExist) {
    await machines.markCleanedUp(row.id, originOf(context), closeDeadline).catch((cause) =>
      log.retrying("The clean-up could not be noted; reconcile will look again", {
        reason: String(cause.cause ?? cause),
      })
    );
  }
  throw explain(error, { stale, clean });
}

function rowGone(cause: unknown): AppError {
  return new AppError("internal_error", "The machine's row was deleted while it was provisioned", {
    cause,
  });
}

function closedOtherwise(row: CloudMachine, cause: unknown): AppError {
  if (
    row.status === "error" && row.error_code !== null && isProvisioningErrorCode(row.error_code)
  ) {
    return new AppError(row.error_code, row.error_message ?? row.error_code, { cause });
  }
  if (row.status === "error") {
    return new AppError("internal_error", row.error_message ?? "The row was closed by reconcile", {
      cause,
    });
  }
  return destroyedMeanwhile(cause);
}

/** Adds to the answer what could not be put in order before it was sent. */
function explain(error: AppError, { stale, clean }: { stale: boolean; clean: boolean }): AppError {
  if (!stale && clean) return error;
  const notes = [
    ...(stale ? ["The row may still say provisioning; it is repaired within minutes."] : []),
    ...(clean ? [] : ["What may be left at Fly.io is destroyed within minutes."]),
  ];
  return new AppError(error.code, error.message, {
    message: [`${error.hint}.`, ...notes].join(" "),
    ...(error.retryAfterSeconds === undefined
      ? {}
      : { retryAfterSeconds: error.retryAfterSeconds }),
    fields: error.fields,
    cause: error.cause ?? error,
  });
}

function originOf({ runtime, requestId, startedAt }: ProvisionContext): Origin {
  return { requestId, durationMs: runtime.clock.now() - startedAt };
}
