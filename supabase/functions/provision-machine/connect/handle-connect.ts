/**
 * POST /provision-machine/{machineId}/connect: the address of a machine and a token for it. The row
 * says all that is needed, so Fly.io is not asked.
 */
import { banned } from "../auth/credentials.ts";
import { requireConnectTokenSecret, requirePlatform } from "../config/problems.ts";
import type { RequestContext } from "../http/context.ts";
import { machineIdOf, noSuchMachine } from "../http/machine-path.ts";
import { jsonResponse } from "../http/responses.ts";
import { usableMachine } from "../lifecycle/usable-machine.ts";
import { Deadline } from "../time.ts";
import { issueConnectToken } from "./token.ts";

const BUDGET_MS = 15_000;

/** Answers 404 for another user's machine, as if there were none; 409 unless it runs or is stopped. */
export async function handleConnect(context: RequestContext): Promise<Response> {
  const { database, environment, caller, requestId, startedAt, log, measurements } = context;
  const { runtime } = context.isolate;
  const asked = machineIdOf(context.parameters);
  const userId = caller.kind === "user" ? caller.userId : null;
  log.identify({ machineId: asked, ...(userId === null ? {} : { userId }) });
  const secret = requireConnectTokenSecret(environment);

  const deadline = new Deadline(runtime.clock, startedAt + BUDGET_MS);
  const row = await measurements.time(
    "read",
    () => database.machines.findForUse({ machineId: asked, userId }, deadline),
  );
  if (row === null) throw noSuchMachine();
  if ("banned" in row) throw banned();
  const { machine_id: machineId } = row;
  context.progress.machineId = machineId;
  const machine = usableMachine(row);

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
