/**
 * What happens to a machine after it was provisioned: it stops and starts. Each method throws AppError
 * `database_error`.
 */
import { z } from "zod/v3";
import type { ErrorCode } from "../errors.ts";
import type { Deadline } from "../time.ts";
import type { DatabaseCaller } from "./caller.ts";
import { type Origin, originArguments, unlessNull } from "./machines.ts";
import { ChangeRequest, MarkedChange, type StopReason } from "./rows.ts";

/** What can be asked for. */
export type Change = "start" | "stop" | "suspend";

export class Changes {
  constructor(private readonly database: DatabaseCaller) {}

  /** Writes the intent, so that a machine which then stops did so on request. */
  request(
    { machineId, change, userId, requestId, projectHost }: {
      machineId: string;
      change: Change;
      /** The owner; null for a machine of any user. */
      userId: string | null;
      requestId: string;
      projectHost: string | null;
    },
    deadline: Deadline,
  ): Promise<ChangeRequest> {
    return this.database.rpc(
      "request_machine_change",
      {
        p_machine_id: machineId,
        p_change: change,
        p_request_id: requestId,
        ...unlessNull("p_user_id", userId),
        ...unlessNull("p_project_host", projectHost),
      },
      ChangeRequest,
      deadline,
    );
  }

  /**
   * `unchangedForMs`: a row that has changed within that time is left alone (`conflict`). `idle` counts
   * only while the stop was not requested.
   */
  markStopped(
    { id, reason, unchangedForMs = 0 }: {
      id: string;
      reason: StopReason;
      unchangedForMs?: number;
    },
    origin: Origin,
    deadline: Deadline,
  ): Promise<MarkedChange> {
    return this.database.rpc(
      "mark_machine_stopped",
      {
        p_id: id,
        p_reason: reason,
        p_unchanged_for_ms: unchangedForMs,
        ...originArguments(origin),
      },
      MarkedChange,
      deadline,
    );
  }

  /** `unchangedForMs`: as for {@link markStopped}. */
  markStarted(
    { id, unchangedForMs = 0 }: { id: string; unchangedForMs?: number },
    origin: Origin,
    deadline: Deadline,
  ): Promise<MarkedChange> {
    const args = { p_id: id, p_unchanged_for_ms: unchangedForMs, ...originArguments(origin) };
    return this.database.rpc("mark_machine_started", args, MarkedChange, deadline);
  }

  /** Notes in the machine's history that a change failed; the row stays as it is. */
  async recordFailed(
    { id, change, code }: { id: string; change: Change; code: ErrorCode },
    { requestId, durationMs }: Origin,
    deadline: Deadline,
  ): Promise<void> {
    const args = {
      p_id: id,
      p_change: change,
      p_error_code: code,
      p_request_id: requestId,
      p_duration_ms: durationMs,
    };
    await this.database.rpc("record_failed_change", args, z.unknown(), deadline);
  }
}
