/** What the invariants are checked on: rows, events, machines, and calls with their answers. */
import type { MachineRecord } from "../../dev/stack/fly/mod.ts";

/** A row of `cloud_machines`: the columns that invariants speak of. */
export interface MachineRow {
  id: string;
  user_id: string | null;
  machine_id: string;
  /** Names that it had before, which strangers took. */
  former_machine_ids: string[];
  fly_machine_id: string | null;
  status: "provisioning" | "running" | "stopped" | "error" | "destroyed";
  error_code: string | null;
  error_message: string | null;
  idempotency_key: string | null;
  request_id: string;
  websocket_url: string | null;
  reconcile_at: string | null;
  destroy_requested_at: string | null;
}

/** A row of `pooled_machines`: the columns that invariants speak of. */
export interface PoolEntry {
  machine_id: string;
  fly_machine_id: string | null;
  standby: "stopped" | "started";
  state: "making" | "ready" | "discarded";
}

/** Whether the name is, or was, that of the row. */
export function isNameOf(
  name: string | null | undefined,
  { machine_id, former_machine_ids }: Pick<MachineRow, "machine_id" | "former_machine_ids">,
): boolean {
  return name !== null && name !== undefined && [machine_id, ...former_machine_ids].includes(name);
}

/** A row of `machine_events`. */
export interface EventRow {
  cloud_machine_id: string;
  request_id: string;
  kind: string;
  error_code: string | null;
  created_at: string;
}

/** A Fly machine, also one that is gone. */
export type Machine = Pick<MachineRecord, "id" | "name" | "state" | "live" | "history">;

/** What a caller asked the function for. */
export interface CallIntent {
  kind: "provision" | "destroy" | "reconcile";
  userId?: string;
  key?: string | null;
  async?: boolean;
  body?: Record<string, string>;
  /** Of a destroy: the machine's name. */
  machineId?: string;
  /** The caller hangs up after this time. */
  leaveAfterMs?: number;
}

/** A call to the function and its answer; null when none came. */
export interface Call extends CallIntent {
  startedAt: number;
  endedAt: number | null;
  answer: { status: number; headers: Headers; text: string } | null;
}
