/** The warm pool's entries. Each method throws AppError `database_error`. */
import { z } from "zod/v3";
import type { Deadline } from "../time.ts";
import type { DatabaseCaller } from "./caller.ts";
import type { CreateRate } from "./claims.ts";
import { type Origin, unlessNull } from "./machines.ts";
import { CloudMachine, ProvisioningMachine } from "./rows.ts";

/** A machine that stands by, is being made, or is to be destroyed. */
export const PooledMachine = z.object({
  id: z.string(),
  machine_id: z.string(),
  fly_app_name: z.string(),
  /** Null until the machine and its addresses have been made. */
  fly_machine_id: z.string().nullable(),
  create_bucket: z.string(),
  region: z.string(),
  standby: z.enum(["stopped", "started"]),
  state: z.enum(["making", "ready", "discarded"]),
});
export type PooledMachine = z.output<typeof PooledMachine>;
export type Standby = PooledMachine["standby"];

const Discarded = z.object({
  machine_id: z.string(),
  fly_machine_id: z.string().nullable(),
  discard_reason: z.string(),
});
export type DiscardedMachine = z.output<typeof Discarded>;

const Added = z.discriminatedUnion("outcome", [
  z.object({ outcome: z.literal("added"), entry: PooledMachine }),
  z.object({ outcome: z.literal("enough") }),
  z.object({ outcome: z.literal("busy"), wait_ms: z.number() }),
]);

/** `conflict`: the row was closed, or its machine is to be destroyed. */
const Replaced = z.discriminatedUnion("outcome", [
  z.object({ outcome: z.literal("not_found") }),
  z.object({
    outcome: z.enum(["pooled", "create"]),
    machine: ProvisioningMachine,
    wait_ms: z.number(),
  }),
  z.object({ outcome: z.literal("no_slot"), wait_ms: z.number() }),
  z.object({ outcome: z.literal("full") }),
  z.object({ outcome: z.literal("conflict"), machine: CloudMachine }),
]);
export type Replaced = z.output<typeof Replaced>;

/** How large the pool is to be, and what its machines are made with. */
export interface PoolSize {
  /** Null where a setting is malformed: then nobody knows. */
  configHash: string | null;
  size: number;
  /** For all users and the pool together. */
  maxMachines: number;
}

export interface NewPooledMachine extends PoolSize {
  configHash: string;
  namePrefix: string;
  random: string;
  createBucket: string;
  region: string;
  standby: Standby;
  websocketUrlTemplate: string;
  ratePerSecond: number;
  makeWithinMs: number;
}

export interface Replacement {
  /** The name of the machine that could not be started, and why. */
  refusedName: string;
  reason: string;
  configHash: string;
  standby: Standby;
  namePrefix: string;
  random: string;
  websocketUrlTemplate: string;
  maxMachines: number;
  rate: CreateRate;
  maxSlotWaitMs: number;
}

export class Pool {
  constructor(private readonly database: DatabaseCaller) {}

  /**
   * Discards what does not fit the settings (any more). `due`: entries whose machines are to be
   * destroyed, leased to this caller.
   */
  settle(
    { configHash, size, maxMachines }: PoolSize,
    { limit, leaseMs }: { limit: number; leaseMs: number },
    deadline: Deadline,
  ): Promise<{ discarded: DiscardedMachine[]; due: PooledMachine[] }> {
    const schema = z.object({ discarded: z.array(Discarded), due: z.array(PooledMachine) });
    return this.database.rpc(
      "settle_pool",
      {
        ...unlessNull("p_config_hash", configHash),
        p_pool_size: size,
        p_max_machines: maxMachines,
        p_limit: limit,
        p_lease_ms: leaseMs,
      },
      schema,
      deadline,
    );
  }

  /** Writes an entry before its machine is made, if users leave room and a create for it. */
  add(entry: NewPooledMachine, deadline: Deadline): Promise<z.output<typeof Added>> {
    return this.database.rpc(
      "add_pooled_machine",
      {
        p_name_prefix: entry.namePrefix,
        p_random: entry.random,
        p_create_bucket: entry.createBucket,
        p_region: entry.region,
        p_standby: entry.standby,
        p_config_hash: entry.configHash,
        p_websocket_url_template: entry.websocketUrlTemplate,
        p_pool_size: entry.size,
        p_max_machines: entry.maxMachines,
        p_rate_per_second: entry.ratePerSecond,
        p_make_within_ms: entry.makeWithinMs,
      },
      Added,
      deadline,
    );
  }

  /** Its machine and addresses have been made. False: it was discarded meanwhile. */
  recordMade(
    id: string,
    fly: { id: string; region: string },
    deadline: Deadline,
  ): Promise<boolean> {
    const args = { p_id: id, p_fly_machine_id: fly.id, p_region: fly.region };
    return this.database.rpc("record_pooled_machine", args, z.boolean(), deadline);
  }

  /** False: it is a user's machine, gone, or discarded already. */
  discard(id: string, reason: string, deadline: Deadline): Promise<boolean> {
    const args = { p_id: id, p_reason: reason };
    return this.database.rpc("discard_pooled_machine", args, z.boolean(), deadline);
  }

  /**
   * What a list of Fly.io shows: the entries that stand by as they should, and those that are on it
   * at all. Returns the ones that are discarded because they are missing.
   */
  note(
    seen: { createBucket: string; present: string[]; listed: string[]; complete: boolean },
    deadline: Deadline,
  ): Promise<DiscardedMachine[]> {
    const args = {
      p_create_bucket: seen.createBucket,
      p_present: seen.present,
      p_listed: seen.listed,
      p_complete: seen.complete,
    };
    return this.database.rpc("note_pooled_machines", args, z.array(Discarded), deadline);
  }

  /** `gone`: something was there, and was destroyed; otherwise it is looked for once more. */
  async finish(id: string, gone: boolean, deadline: Deadline): Promise<void> {
    const args = { p_id: id, p_gone: gone };
    await this.database.rpc("finish_pooled_machine", args, z.unknown(), deadline);
  }

  /** Gives the row another machine of the pool, or a new name where there is none. */
  replace(
    rowId: string,
    replacement: Replacement,
    origin: Origin,
    deadline: Deadline,
  ): Promise<Replaced> {
    return this.database.rpc(
      "replace_pooled_machine",
      {
        p_id: rowId,
        p_refused_name: replacement.refusedName,
        p_reason: replacement.reason,
        p_config_hash: replacement.configHash,
        p_standby: replacement.standby,
        p_name_prefix: replacement.namePrefix,
        p_random: replacement.random,
        p_websocket_url_template: replacement.websocketUrlTemplate,
        p_max_machines: replacement.maxMachines,
        p_rate_per_second: replacement.rate.perSecond,
        p_burst: replacement.rate.burst,
        p_wait_at_most_ms: Math.max(0, Math.floor(replacement.maxSlotWaitMs)),
        p_request_id: origin.requestId,
        p_duration_ms: Math.round(origin.durationMs),
      },
      Replaced,
      deadline,
    );
  }
}
