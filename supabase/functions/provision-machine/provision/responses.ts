/** A machine's row as callers see it. */
import type { CloudMachine } from "../database/rows.ts";
import { AppError } from "../errors.ts";
import { jsonResponse } from "../http/responses.ts";

const MESSAGES = {
  running: "Machine provisioned successfully",
  provisioning: "Machine provisioning started",
  error: "Machine provisioning failed",
  destroyed: "Machine destroyed",
};

export function machineResponse(
  status: 200 | 202,
  row: CloudMachine,
  requestId: string,
  { headers = {}, note = null }: { headers?: Record<string, string>; note?: string | null } = {},
): Response {
  return jsonResponse(status, {
    machineId: row.machine_id,
    websocketUrl: row.websocket_url,
    status: row.status,
    message: note === null ? MESSAGES[row.status] : `${MESSAGES[row.status]}; ${note}`,
    region: row.region,
    flyMachineId: row.fly_machine_id,
    requestId,
  }, headers);
}

/** The user has as many live machines as allowed; the newest is named, so that it can be used. */
export function limitReached(row: CloudMachine): AppError {
  return new AppError("machine_limit_reached", "The user already has as many machines as allowed", {
    fields: {
      machineId: row.machine_id,
      websocketUrl: row.websocket_url,
      status: row.status,
    },
  });
}
