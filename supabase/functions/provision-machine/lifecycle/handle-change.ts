/**
 * POST /provision-machine/{machineId}/start, /stop and /suspend. The intent is written first, so that
 * reconcile knows a stop that was asked for, should this request die before it has closed the row.
 */
import { banned } from "../auth/credentials.ts";
import { otherProject, requireSettings } from "../config/problems.ts";
import type { Change } from "../database/changes.ts";
import { originOf } from "../database/machines.ts";
import type { MarkedChange } from "../database/rows.ts";
import { AppError, toAppError } from "../errors.ts";
import { openFlyClient } from "../fly/client.ts";
import type { Handler, RequestContext } from "../http/context.ts";
import { machineIdOf, noSuchMachine } from "../http/machine-path.ts";
import { machineResponse } from "../provision/responses.ts";
import { Deadline } from "../time.ts";
import { type Changed, changeMachine } from "./change-machine.ts";
import { isWantedStop } from "./stop-reason.ts";
import { stateConflict, usableMachine } from "./usable-machine.ts";

const BUDGET_MS = 60_000;
/** Kept for writing the row: a slow Fly.io must not look like a database that does not answer. */
const CLOSE_RESERVE_MS = 5_000;

const STOPPED = new Error("it stopped although no stop was requested; see `fly logs`");

export const handleStart = handlerOf("start");
export const handleStop = handlerOf("stop");
export const handleSuspend = handlerOf("suspend");

/** Answers 200 once the machine is in the state; 404 for another user's, as if there were none. */
function handlerOf(change: Change): Handler<RequestContext> {
  return async (context) => {
    const { database: { changes }, caller, requestId, startedAt, log, measurements } = context;
    const { runtime } = context.isolate;
    const closeDeadline = new Deadline(runtime.clock, startedAt + BUDGET_MS);
    const deadline = new Deadline(runtime.clock, closeDeadline.at - CLOSE_RESERVE_MS);
    const machineId = machineIdOf(context.parameters);
    const userId = caller.kind === "user" ? caller.userId : null;
    log.identify({ machineId, ...(userId === null ? {} : { userId }) });
    const settings = requireSettings(context.environment);

    const projectHost = context.environment.platform?.projectHost ?? null;
    const asked = { machineId, change, userId, requestId, projectHost };
    const requested = await measurements.time("request", () => changes.request(asked, deadline));
    if (requested.outcome === "not_found") throw requested.banned ? banned() : noSuchMachine();
    context.progress.machineId = machineId;
    if (requested.outcome === "fenced") throw otherProject();
    const row = usableMachine(requested.machine);
    if (change === "suspend" && row.status === "stopped" && row.stop_reason !== "suspended") {
      throw stateConflict(`is stopped (${row.stop_reason})`, "Start it before it is suspended");
    }
    const origin = () => originOf({ requestId, startedAt, runtime });
    let seen: Changed;
    try {
      const fly = openFlyClient(context.isolate, settings, context.trace);
      seen = await measurements.time(
        "wait",
        () => changeMachine({ runtime, fly, deadline, measurements }, row, change),
      );
    } catch (thrown) {
      const { code } = toAppError(thrown);
      await changes.recordFailed({ id: row.id, change, code }, origin(), closeDeadline)
        .catch((error) =>
          log.deferWarning("The failure could not be noted", { reason: String(error) })
        );
      throw thrown;
    }
    const by = { ...origin(), detail: measurements.report() };
    const marked = await measurements.time(
      "finish",
      () =>
        seen.started
          ? changes.markStarted({ id: row.id }, by, closeDeadline)
          : changes.markStopped({ id: row.id, reason: seen.reason }, by, closeDeadline),
    );
    const isNew = row.status === "running" || (!seen.started && row.stop_reason !== seen.reason);
    // A failure that no request has reported yet.
    if (!seen.started && isNew && !isWantedStop(seen.reason)) {
      log.errorEvent(`❌ The machine had stopped by itself (${seen.reason})`, STOPPED, {
        code: "machine_stopped",
      });
    }
    return answer(marked, requestId);
  };
}

function answer(marked: MarkedChange, requestId: string): Response {
  if (marked.outcome === "not_found") {
    throw new AppError("internal_error", "The machine's row was deleted meanwhile");
  }
  // A DELETE came in between, or reconcile closed the row.
  const row = usableMachine(marked.machine);
  const message = row.status === "running"
    ? "Machine is running"
    : `Machine is stopped (${row.stop_reason})`;
  return machineResponse(200, row, requestId, { message });
}
