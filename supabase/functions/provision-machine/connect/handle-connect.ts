/**
 * POST /provision-machine/{machineId}/connect: the address of a machine and a token for it. The row
 * says all that is needed, so Fly.io is not asked.
 */
import { requireConnectTokenSecret, requirePlatform } from "../config/problems.ts";
import type { CloudMachine, RunningMachine } from "../database/rows.ts";
import { AppError } from "../errors.ts";
import type { RequestContext } from "../http/context.ts";
import { machineIdOf, noSuchMachine } from "../http/machine-path.ts";
import { jsonResponse } from "../http/responses.ts";
import { Deadline } from "../time.ts";
import { issueConnectToken } from "./token.ts";

const BUDGET_MS = 15_000;
/** What provisioning and destroying usually need. */
const RETRY_AFTER_SECONDS = 5;

/** A row that a token can be issued for. */
type ConnectableMachine = RunningMachine & { user_id: string };

/** Answers 404 for another user's machine, as if there were none; 409 unless it can be reached. */
export async function handleConnect(context: RequestContext): Promise<Response> {
  const { database, environment, caller, requestId, startedAt, log, measurements } = context;
  const { runtime } = context.isolate;
  const machineId = machineIdOf(context.parameters);
  const userId = caller.kind === "user" ? caller.userId : null;
  log.identify({ machineId, ...(userId === null ? {} : { userId }) });
  const secret = requireConnectTokenSecret(environment);

  const deadline = new Deadline(runtime.clock, startedAt + BUDGET_MS);
  const row = await measurements.time(
    "read",
    () => database.machines.findByMachineId({ machineId, userId }, deadline),
  );
  if (row === null) throw noSuchMachine();
  context.progress.machineId = machineId;
  const machine = connectable(row);

  const { token, expiresAt } = await issueConnectToken(runtime, secret, {
    machineId,
    userId: machine.user_id,
    issuer: requirePlatform(environment).url,
    flyAppName: machine.fly_app_name,
    flyMachineId: machine.fly_machine_id,
  });
  return jsonResponse(200, {
    websocketUrl: machine.websocket_url,
    token,
    expiresAt: new Date(expiresAt).toISOString(),
    status: machine.status,
    machineId,
    requestId,
  }, { "cache-control": "no-store" });
}

/** Throws {@link AppError} `machine_state_conflict`, with the way out of each state. */
function connectable(row: CloudMachine): ConnectableMachine {
  if (row.status === "destroyed") throw conflict("was destroyed", "Provision another machine");
  if (row.status === "error") {
    throw conflict(`failed (${row.error_code})`, "Provision another machine");
  }
  // Reconcile destroys the machine of a user who was deleted.
  if (row.destroy_requested_at !== null || row.user_id === null) {
    throw conflict(
      "is being destroyed",
      "Provision another machine once it is gone",
      RETRY_AFTER_SECONDS,
    );
  }
  if (row.status === "provisioning") {
    throw conflict("is still being provisioned", "Try again shortly", RETRY_AFTER_SECONDS);
  }
  return { ...row, user_id: row.user_id };
}

function conflict(state: string, hint: string, retryAfterSeconds?: number): AppError {
  return new AppError("machine_state_conflict", `The machine ${state}`, {
    hint,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  });
}
