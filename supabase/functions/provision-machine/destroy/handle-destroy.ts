/**
 * DELETE /provision-machine/{machineId}: the intent is written to the row before Fly.io is asked,
 * so that a crash in between loses nothing: reconcile finishes what was begun.
 */
import { otherProject, requireSettings } from "../config/problems.ts";
import { originOf } from "../database/machines.ts";
import type { CloudMachine } from "../database/rows.ts";
import { openFlyClient } from "../fly/client.ts";
import { FlyError, toProvisioningError } from "../fly/errors.ts";
import type { RequestContext } from "../http/context.ts";
import { machineIdOf, noSuchMachine } from "../http/machine-path.ts";
import { jsonResponse } from "../http/responses.ts";
import { Deadline } from "../time.ts";
import { destroyMachineOfRow } from "../hosting/machine-of-row.ts";
import { machineOfRow } from "../hosting/hosting.ts";

const BUDGET_MS = 60_000;
/** Kept for closing the row: a slow Fly.io must not look like a database that does not answer. */
const CLOSE_RESERVE_MS = 5_000;

/** Answers 200 once the machine is gone; 404 for another user's machine, as if there were none. */
export async function handleDestroy(context: RequestContext): Promise<Response> {
  const { database: { machines }, caller, requestId, startedAt, log, measurements } = context;
  const { runtime } = context.isolate;
  const closeDeadline = new Deadline(runtime.clock, startedAt + BUDGET_MS);
  const deadline = new Deadline(runtime.clock, closeDeadline.at - CLOSE_RESERVE_MS);
  const asked = machineIdOf(context.parameters);
  log.identify({ machineId: asked, ...(caller.kind === "user" ? { userId: caller.userId } : {}) });

  const userId = caller.kind === "user" ? caller.userId : null;
  const projectHost = context.environment.platform?.projectHost ?? null;
  const wanted = { machineId: asked, userId, requestId, projectHost, leaseMs: BUDGET_MS };
  const requested = await measurements.time(
    "request",
    () => machines.requestDestroy(wanted, deadline),
  );
  if (requested.outcome === "not_found") throw noSuchMachine();
  const { machine } = requested;
  const { machine_id: machineId } = machine;
  context.progress.machineId = machineId;
  if (requested.outcome === "fenced") throw otherProject();
  if (requested.outcome === "already_destroyed") return destroyed(machineId, requestId);

  const gone = await measurements.time("cleanup", () => destroyAtFly(context, machine, deadline));
  const detail = measurements.report();
  await measurements.time("finish", () =>
    machines.markDestroyed(
      { id: machine.id, mayStillAppear: !gone },
      { ...originOf({ requestId, startedAt, runtime }), detail },
      closeDeadline,
    ));
  return destroyed(machineId, requestId);
}

/** Returns whether it is certain that no machine is left at Fly.io. */
async function destroyAtFly(
  { isolate, environment, trace }: RequestContext,
  row: CloudMachine,
  deadline: Deadline,
): Promise<boolean> {
  const machine = machineOfRow(row);
  if (machine === null) return true;
  const settings = requireSettings(environment);
  const fly = openFlyClient(isolate, settings, trace);
  try {
    return await destroyMachineOfRow({ runtime: isolate.runtime, fly, deadline }, machine);
  } catch (error) {
    if (!(error instanceof FlyError)) throw error;
    const hint = "The machine could not be destroyed yet; it will be within minutes";
    throw toProvisioningError(error, deadline).with({ hint });
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
