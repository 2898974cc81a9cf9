/**
 * DELETE /provision-machine/{machineId}: the intent is written to the row before Fly.io is asked,
 * so that a crash in between loses nothing: reconcile finishes what was begun.
 */
import type { RequestContext } from "../app.ts";
import { configurationError, hasProblems } from "../config/configuration-error.ts";
import type { Settings } from "../config/environment.ts";
import { Deadline } from "../deadline.ts";
import { AppError } from "../errors.ts";
import { FlyError } from "../fly/errors.ts";
import { destroyRowMachine } from "../fly/destroy-row-machine.ts";
import { toProvisioningError } from "../fly/provisioning-error.ts";
import { jsonResponse } from "../http/responses.ts";
import { machineIdentity } from "../provisioning/machine-config.ts";
import { makeFlyClient } from "../fly/make-client.ts";

const BUDGET_MS = 60_000;
/** Kept for closing the row: a slow Fly.io must not look like a database that does not answer. */
const CLOSE_RESERVE_MS = 5_000;
/** As the table has it. What cannot be a name is not asked for: Postgres takes no NUL, say. */
const MACHINE_ID = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** Answers 200 once the machine is gone; 404 for a machine of somebody else, as if there were none. */
export async function handleDestroy(context: RequestContext): Promise<Response> {
  const { services, database, caller, requestId, startedAt, log, measurements } = context;
  const closeDeadline = new Deadline(services.runtime.clock, startedAt + BUDGET_MS);
  const deadline = new Deadline(services.runtime.clock, closeDeadline.at - CLOSE_RESERVE_MS);
  const machineId = decodeURIComponentOrNull(context.parameters["machineId"] ?? "");
  if (machineId === null || !MACHINE_ID.test(machineId)) throw notFound();
  log.identify({ machineId, ...(caller.kind === "user" ? { userId: caller.userId } : {}) });

  const owner = caller.kind === "user" ? caller.userId : null;
  const requested = await measurements.time(
    "claim",
    () => database.machines.requestDestroy(machineId, owner, requestId, BUDGET_MS, deadline),
  );
  if (requested.outcome === "not_found") throw notFound();
  context.state.machineId = machineId;
  if (requested.outcome === "already_destroyed") return destroyed(machineId, requestId);

  const { machine } = requested;
  const gone = machine.fly_app_name === null ||
    await measurements.time(
      "cleanup",
      () => destroyAtFly(context, machine.fly_app_name ?? "", machine, deadline),
    );
  const detail = measurements.report();
  const durationMs = services.runtime.clock.now() - startedAt;
  await measurements.time(
    "finish",
    () =>
      database.machines.markDestroyed(
        machine.id,
        !gone,
        { requestId, durationMs, detail },
        closeDeadline,
      ),
  );
  return destroyed(machineId, requestId);
}

async function destroyAtFly(
  { services, settings, problems, trace }: RequestContext,
  app: string,
  machine: { id: string; machine_id: string; fly_machine_id: string | null },
  deadline: Deadline,
): Promise<boolean> {
  if (hasProblems(problems)) throw configurationError(problems);
  const complete = settings as Settings;
  try {
    return await destroyRowMachine({
      runtime: services.runtime,
      fly: makeFlyClient(services, complete, trace),
      app,
      machineId: machine.machine_id,
      identity: machineIdentity(complete.SUPABASE_URL, machine.id),
      flyMachineId: machine.fly_machine_id,
      deadline,
    });
  } catch (error) {
    if (!(error instanceof FlyError)) throw error;
    const failure = toProvisioningError(error, deadline);
    throw new AppError(failure.code, failure.message, {
      message: "The machine could not be destroyed yet; it will be within minutes",
      ...(failure.retryAfterSeconds ? { retryAfterSeconds: failure.retryAfterSeconds } : {}),
      cause: error,
    });
  }
}

function destroyed(machineId: string, requestId: string): Response {
  return jsonResponse(200, {
    machineId,
    status: "destroyed",
    message: "Machine destroyed",
    requestId,
  });
}

function notFound(): AppError {
  return new AppError("not_found", "There is no such machine", {
    message: "Check the machineId; only its owner and services can see it",
  });
}

function decodeURIComponentOrNull(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    // Malformed percent-encoding names no machine.
    return null;
  }
}
