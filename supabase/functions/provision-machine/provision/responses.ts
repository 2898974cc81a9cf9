/** A machine's row as callers see it. */
import type { CloudMachine, StoppedMachine } from "../database/rows.ts";
import { AppError } from "../errors.ts";
import { jsonResponse } from "../http/responses.ts";

const MESSAGES = {
  running: "Machine provisioned successfully",
  provisioning: "Machine provisioning started",
  stopped: "Machine provisioned successfully",
  error: "Machine provisioning failed",
  destroyed: "Machine destroyed",
};

export function machineResponse(
  status: 200 | 202,
  row: CloudMachine,
  requestId: string,
  { headers = {}, note = null, message = MESSAGES[row.status] }: {
    headers?: Record<string, string>;
    note?: string | null;
    message?: string;
  } = {},
): Response {
  return jsonResponse(status, {
    machineId: row.machine_id,
    websocketUrl: row.websocket_url,
    status: row.status,
    message: note === null ? message : `${message}; ${note}`,
    region: row.region,
    flyMachineId: row.fly_machine_id,
    requestId,
  }, headers);
}

/** What a destruction usually needs; reconcile takes over after a minute. */
export const DESTROYED_WITHIN_SECONDS = 10;

/** It still counts, since it may still be billed, but it must not be used any more. */
export function isBeingDestroyed(row: CloudMachine): boolean {
  return (row.status === "running" || row.status === "stopped") &&
    row.destroy_requested_at !== null;
}

/** What to know of a stopped machine, and how it runs again. */
export function stoppedNote({ stop_reason: reason }: StoppedMachine): string {
  return `it is stopped now (${reason}): start it with POST /{machineId}/start`;
}

/**
 * The user has as many live machines as allowed; the newest is named, so that it can be used, unless
 * it is being destroyed.
 */
export function limitReached(row: CloudMachine | null): AppError {
  const error = "The user already has as many machines as allowed";
  if (row === null) {
    return new AppError("machine_limit_reached", "The user may have no machine", {
      hint: "Ask the operator of this service for a higher limit",
      fields: { websocketUrl: null, status: null },
    });
  }
  const { machine_id: machineId, websocket_url: websocketUrl, status } = row;
  if (isBeingDestroyed(row)) {
    return new AppError("machine_limit_reached", error, {
      hint: "The machine is being destroyed; try again when it is gone",
      retryAfterSeconds: DESTROYED_WITHIN_SECONDS,
      fields: { machineId, websocketUrl: null, status: "destroying" },
    });
  }
  return new AppError("machine_limit_reached", error, {
    ...(row.status === "stopped"
      ? {
        hint: `Start your existing machine, which is stopped (${row.stop_reason}), or destroy it`,
      }
      : {}),
    fields: { machineId, websocketUrl, status },
  });
}
