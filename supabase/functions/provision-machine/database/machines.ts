/**
 * The rows of `cloud_machines`, through the Postgres functions that guard their transitions: one
 * method per function. Each throws AppError `database_error`.
 */
import { z } from "zod/v3";
import type { RowErrorCode } from "../errors.ts";
import type { Runtime } from "../runtime.ts";
import type { Deadline } from "../time.ts";
import type { DatabaseCaller } from "./caller.ts";
import {
  CloudMachine,
  DestroyRequest,
  ExpiredMachine,
  FoundForUse,
  MarkedRunning,
  Transition,
} from "./rows.ts";
import type { Json } from "./types.ts";

/** The request that causes a transition, and how long ago it began. */
export interface Origin {
  requestId: string;
  durationMs: number;
  detail?: Json;
}

/** Of Postgres' type `integer`. */
const MAX_INTEGER = 2_147_483_647;

export class Machines {
  constructor(private readonly database: DatabaseCaller) {}

  recordFlyMachine(
    id: string,
    fly: { id: string; region: string },
    origin: Origin,
    deadline: Deadline,
  ): Promise<Transition> {
    return this.database.rpc(
      "record_fly_machine",
      {
        p_id: id,
        p_fly_machine_id: fly.id,
        p_region: fly.region,
        p_request_id: origin.requestId,
        p_duration_ms: origin.durationMs,
      },
      Transition,
      deadline,
    );
  }

  markRunning(
    id: string,
    fly: { id: string; region: string; adopted: boolean },
    origin: Origin,
    deadline: Deadline,
  ): Promise<MarkedRunning> {
    return this.database.rpc(
      "mark_machine_running",
      {
        p_id: id,
        p_fly_machine_id: fly.id,
        p_region: fly.region,
        p_adopted: fly.adopted,
        ...originArguments(origin),
      },
      MarkedRunning,
      deadline,
    );
  }

  /** `recheckInMs`: when reconcile must confirm that no Fly machine is left; null if none can be. */
  markError(
    id: string,
    failure: {
      from: "provisioning" | "running" | "stopped";
      code: RowErrorCode;
      message: string;
      flyMachineId: string | null;
      recheckInMs: number | null;
    },
    origin: Origin,
    deadline: Deadline,
  ): Promise<Transition> {
    return this.database.rpc(
      "mark_machine_error",
      {
        p_id: id,
        p_expected_status: failure.from,
        p_error_code: failure.code,
        p_error_message: failure.message,
        ...unlessNull("p_fly_machine_id", failure.flyMachineId),
        ...unlessNull("p_cleanup_in_ms", failure.recheckInMs),
        ...originArguments(origin),
      },
      Transition,
      deadline,
    );
  }

  markCleanedUp(id: string, origin: Origin, deadline: Deadline): Promise<Transition> {
    const args = { p_id: id, ...originArguments(origin) };
    return this.database.rpc("mark_machine_cleaned_up", args, Transition, deadline);
  }

  /** `mayStillAppear`: Fly.io knew of no machine, but a create may still land. */
  markDestroyed(
    { id, mayStillAppear }: { id: string; mayStillAppear: boolean },
    origin: Origin,
    deadline: Deadline,
  ): Promise<Transition> {
    const args = { p_id: id, p_look_again: mayStillAppear, ...originArguments(origin) };
    return this.database.rpc("mark_machine_destroyed", args, Transition, deadline);
  }

  /** Writes the intent to destroy; reconcile leaves the row to this caller for `leaseMs`. */
  requestDestroy(
    { machineId, userId, requestId, projectHost, leaseMs }: {
      machineId: string;
      /** The owner; null for a machine of any user. */
      userId: string | null;
      requestId: string;
      projectHost: string | null;
      leaseMs: number;
    },
    deadline: Deadline,
  ): Promise<DestroyRequest> {
    return this.database.rpc(
      "request_machine_destroy",
      {
        p_machine_id: machineId,
        p_request_id: requestId,
        p_lease_ms: leaseMs,
        ...unlessNull("p_user_id", userId),
        ...unlessNull("p_project_host", projectHost),
      },
      DestroyRequest,
      deadline,
    );
  }

  /**
   * Up to `limit` rows that are due for reconcile, leased to this caller for `leaseMs`. `call`
   * identifies the call: sent again after a lost answer, it gets the same rows.
   */
  takeDue(
    { limit, leaseMs, call }: { limit: number; leaseMs: number; call: string },
    deadline: Deadline,
  ): Promise<CloudMachine[]> {
    const args = { p_limit: limit, p_lease_ms: leaseMs, p_call: call };
    return this.database.rpc("take_due_machines", args, z.array(CloudMachine), deadline);
  }

  /** Machines older than `lifetimeMs`, which are now to be destroyed. */
  expire(
    { lifetimeMs, limit, requestId }: { lifetimeMs: number; limit: number; requestId: string },
    deadline: Deadline,
  ): Promise<ExpiredMachine[]> {
    const args = { p_lifetime_ms: lifetimeMs, p_limit: limit, p_request_id: requestId };
    return this.database.rpc("expire_machines", args, z.array(ExpiredMachine), deadline);
  }

  handOverToReconcile(
    ids: string[],
    reason: string,
    afterMs: number,
    deadline: Deadline,
  ): Promise<number> {
    const args = { p_ids: ids, p_reason: reason, p_after_ms: afterMs };
    return this.database.rpc("hand_over_to_reconcile", args, z.number(), deadline);
  }

  /** The row as it is now, or null if there is none. */
  async find(id: string, deadline: Deadline): Promise<CloudMachine | null> {
    return (await this.database.select({ id: [id] }, CloudMachine, deadline))[0] ?? null;
  }

  /** The row that has or had this name; null if there is none of this owner (null: of any user). */
  findForUse(
    { machineId, userId }: { machineId: string; userId: string | null },
    deadline: Deadline,
  ): Promise<FoundForUse> {
    const args = {
      p_machine_id: machineId,
      p_unless_banned: true,
      ...unlessNull("p_user_id", userId),
    };
    return this.database.rpc("find_machine", args, FoundForUse, deadline);
  }
}

/** The origin of a transition that this request causes now. */
export function originOf(
  { requestId, startedAt, runtime: { clock } }: {
    requestId: string;
    /** Milliseconds since the epoch. */
    startedAt: number;
    runtime: Pick<Runtime, "clock">;
  },
): Origin {
  return { requestId, durationMs: durationSince(startedAt, clock) };
}

/** As a column can hold it: a clock that was set back or far ahead must not fail a transition. */
export function durationSince(startedAt: number, clock: Runtime["clock"]): number {
  return Math.min(Math.max(Math.round(clock.now() - startedAt), 0), MAX_INTEGER);
}

/** Leaves an argument without a value to its default, null. */
export function unlessNull<Name extends string, T>(
  name: Name,
  value: T | null,
): Partial<Record<Name, T>> {
  return value === null ? {} : { [name]: value } as Record<Name, T>;
}

/** How a transition's origin is passed to the Postgres functions. */
export function originArguments(
  origin: Origin,
): { p_request_id: string; p_duration_ms: number; p_detail: Json } {
  return {
    p_request_id: origin.requestId,
    p_duration_ms: origin.durationMs,
    p_detail: origin.detail ?? {},
  };
}
