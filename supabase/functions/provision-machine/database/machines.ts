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
  Claim,
  CloudMachine,
  CreateSlot,
  DestroyRequest,
  MarkedRunning,
  RunningMachine,
  Transition,
} from "./rows.ts";
import type { Json } from "./types.ts";

export interface ClaimInput {
  userId: string;
  machineId: string;
  region: string;
  cpuPriority: string;
  requestId: string;
  requestHash: string;
  idempotencyKey: string | null;
  /** The apps that may hold the machine; null when the setting is broken. */
  flyAppNames: string[] | null;
  websocketUrlTemplate: string | null;
  machineLimit: number;
  timeoutMs: number;
  rate: CreateRate;
  /** How long the create may have to wait for its slot. */
  maxSlotWaitMs: number;
  /** Write the row as `error` at once: it is already known that nothing can be created. */
  failure?: { code: RowErrorCode; message: string };
}

/** Fly.io's limit of machine creation per app. */
export interface CreateRate {
  perSecond: number;
  burst: number;
}

/** The request that causes a transition, and how long ago it began. */
export interface Origin {
  requestId: string;
  durationMs: number;
  detail?: Json;
}

export class Machines {
  constructor(private readonly database: DatabaseCaller) {}

  claim(input: ClaimInput, deadline: Deadline): Promise<Claim> {
    return this.database.rpc(
      "claim_machine",
      {
        p_user_id: input.userId,
        p_machine_id: input.machineId,
        p_region: input.region,
        p_cpu_priority: input.cpuPriority,
        p_request_id: input.requestId,
        p_request_hash: input.requestHash,
        p_machine_limit: input.machineLimit,
        p_timeout_ms: Math.ceil(input.timeoutMs),
        p_rate_per_second: input.rate.perSecond,
        p_burst: input.rate.burst,
        p_wait_at_most_ms: Math.max(0, Math.floor(input.maxSlotWaitMs)),
        ...unlessNull("p_fly_app_names", input.flyAppNames),
        ...unlessNull("p_websocket_url_template", input.websocketUrlTemplate),
        ...unlessNull("p_idempotency_key", input.idempotencyKey),
        ...unlessNull("p_error_code", input.failure?.code ?? null),
        ...unlessNull("p_error_message", input.failure?.message ?? null),
      },
      Claim,
      deadline,
    );
  }

  /** Asks for the slot that {@link claim} reserved, once its time has come. */
  takeCreateSlot(id: string, deadline: Deadline): Promise<CreateSlot> {
    return this.database.rpc("take_create_slot", { p_id: id }, CreateSlot, deadline);
  }

  /** Fly.io refused a create for going too fast: all rows of the app wait, this one the shortest. */
  delayCreates(
    id: string,
    retryAfterMs: number,
    rate: CreateRate,
    deadline: Deadline,
  ): Promise<CreateSlot> {
    return this.database.rpc(
      "delay_creates",
      {
        p_id: id,
        p_retry_after_ms: Math.ceil(retryAfterMs),
        p_rate_per_second: rate.perSecond,
        p_burst: rate.burst,
      },
      CreateSlot,
      deadline,
    );
  }

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
      from: "provisioning" | "running";
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
    { machineId, userId, requestId, leaseMs }: {
      machineId: string;
      /** The owner; null for a machine of any user. */
      userId: string | null;
      requestId: string;
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
      },
      DestroyRequest,
      deadline,
    );
  }

  /** Up to `limit` rows that are due for reconcile, leased to this caller for `leaseMs`. */
  takeDue(limit: number, leaseMs: number, deadline: Deadline): Promise<CloudMachine[]> {
    const args = { p_limit: limit, p_lease_ms: leaseMs };
    return this.database.rpc("take_due_machines", args, z.array(CloudMachine), deadline);
  }

  /** Up to `limit` running rows of an app in the order of their id, from after the row `after`. */
  listRunning(
    { app, after, limit }: { app: string; after: string | null; limit: number },
    deadline: Deadline,
  ): Promise<RunningMachine[]> {
    const args = { p_fly_app_name: app, p_limit: limit, ...unlessNull("p_after", after) };
    return this.database.rpc("list_running_machines", args, z.array(RunningMachine), deadline);
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
    return (await this.findAll([id], deadline))[0] ?? null;
  }

  findAll(ids: string[], deadline: Deadline): Promise<CloudMachine[]> {
    return this.database.select({ id: ids }, CloudMachine, deadline);
  }

  /** The row with this `machine_id`, or null if there is none of this owner; null: of any user. */
  async findByMachineId(
    { machineId, userId }: { machineId: string; userId: string | null },
    deadline: Deadline,
  ): Promise<CloudMachine | null> {
    const owner = userId === null ? {} : { user_id: [userId] };
    const where = { machine_id: [machineId], ...owner };
    return (await this.database.select(where, CloudMachine, deadline))[0] ?? null;
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
  return { requestId, durationMs: clock.now() - startedAt };
}

/** Leaves an argument without a value to its default, null. */
function unlessNull<Name extends string, T>(name: Name, value: T | null): Partial<Record<Name, T>> {
  return value === null ? {} : { [name]: value } as Record<Name, T>;
}

function originArguments(origin: Origin) {
  return {
    p_request_id: origin.requestId,
    p_duration_ms: Math.round(origin.durationMs),
    p_detail: origin.detail ?? {},
  };
}
