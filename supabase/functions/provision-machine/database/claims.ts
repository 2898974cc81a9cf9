/** The claim of a row and the slot for its create. Each method throws AppError `database_error`. */
import { z } from "zod/v3";
import type { RowErrorCode } from "../errors.ts";
import type { Deadline } from "../time.ts";
import type { DatabaseCaller } from "./caller.ts";
import { type Origin, unlessNull } from "./machines.ts";
import { Claim, CreateSlot, Renamed } from "./rows.ts";

export interface ClaimInput {
  userId: string;
  /** The machine's name is `{namePrefix}-{tag of the database}-{random}`. */
  namePrefix: string;
  random: string;
  region: string;
  cpuPriority: string;
  requestId: string;
  /** See {@link Platform.projectHost}. */
  projectHost: string | null;
  requestHash: string;
  idempotencyKey: string | null;
  /** What the create is paced with: one of the shared apps, or the organisation; null: unknown. */
  buckets: string[] | null;
  /** The app gets the machine's name; otherwise it is the bucket's. */
  ownApp: boolean;
  websocketUrlTemplate: string | null;
  /** For the user; the database's `machine_limit` goes before it. */
  machineLimit: number;
  /** For all users together. */
  maxMachines: number;
  /** Rows that the user may have written in an hour. */
  provisionsPerHour: number;
  /** Of the pool's machines that this request may be given; null: of none. */
  configHash: string | null;
  /** No new machines for anyone. */
  paused: boolean;
  timeoutMs: number;
  rate: CreateRate;
  /** How long the create may have to wait for its slot. */
  maxSlotWaitMs: number;
  /** Write the row as `error` at once: it is already known that nothing can be created. */
  failure?: { code: RowErrorCode; message: string };
}

export interface NewName {
  /** The name that the row has, and a stranger's app too. */
  taken: string;
  /** As for {@link ClaimInput}. */
  namePrefix: string;
  random: string;
  websocketUrlTemplate: string;
}

/** Fly.io's limit of machine creation per app. */
export interface CreateRate {
  perSecond: number;
  burst: number;
}

export class Claims {
  constructor(private readonly database: DatabaseCaller) {}

  claim(input: ClaimInput, deadline: Deadline): Promise<Claim> {
    return this.database.rpc(
      "claim_machine",
      {
        p_user_id: input.userId,
        p_name_prefix: input.namePrefix,
        p_machine_id: input.random,
        p_region: input.region,
        p_cpu_priority: input.cpuPriority,
        p_request_id: input.requestId,
        p_request_hash: input.requestHash,
        p_machine_limit: input.machineLimit,
        p_max_machines: input.maxMachines,
        p_provisions_per_hour: input.provisionsPerHour,
        p_paused: input.paused,
        p_timeout_ms: Math.ceil(input.timeoutMs),
        p_rate_per_second: input.rate.perSecond,
        p_burst: input.rate.burst,
        p_wait_at_most_ms: Math.max(0, Math.floor(input.maxSlotWaitMs)),
        ...unlessNull("p_project_host", input.projectHost),
        p_own_app: input.ownApp,
        ...unlessNull("p_fly_app_names", input.buckets),
        ...unlessNull("p_websocket_url_template", input.websocketUrlTemplate),
        ...unlessNull("p_idempotency_key", input.idempotencyKey),
        ...unlessNull("p_config_hash", input.configHash),
        ...unlessNull("p_error_code", input.failure?.code ?? null),
        ...unlessNull("p_error_message", input.failure?.message ?? null),
      },
      Claim,
      deadline,
    );
  }

  /** A create was refused for the region as a whole. */
  async noteRefusedRegion(region: string, forMs: number, deadline: Deadline): Promise<void> {
    const args = { p_region: region, p_for_ms: forMs };
    await this.database.rpc("note_refused_region", args, z.unknown(), deadline);
  }

  /** Gives the row another name while nothing can have been made under the one it has. */
  rename(id: string, name: NewName, origin: Origin, deadline: Deadline): Promise<Renamed> {
    return this.database.rpc(
      "rename_machine",
      {
        p_id: id,
        p_taken_name: name.taken,
        p_name_prefix: name.namePrefix,
        p_random: name.random,
        p_websocket_url_template: name.websocketUrlTemplate,
        p_request_id: origin.requestId,
        p_duration_ms: Math.round(origin.durationMs),
      },
      Renamed,
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
}
