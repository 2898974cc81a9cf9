/**
 * Whose machine is it: what reconcile compares Fly.io's machines with, and what it has seen of those
 * that do not match. Each method throws AppError `database_error`.
 */
import { z } from "zod/v3";
import type { Deadline } from "../time.ts";
import type { DatabaseCaller } from "./caller.ts";
import { type Origin, unlessNull } from "./machines.ts";
import { PooledMachine } from "./pool.ts";
import { CloudMachine, LiveMachine } from "./rows.ts";

/** What a run of reconcile has to know first. */
const Installation = z.object({
  /** The database belongs to another project, so nothing may be destroyed. */
  fenced: z.boolean(),
  /** Part of the name of every machine of this database. */
  tag: z.string(),
  /** Machines without a row that are held back from destruction. */
  orphans_held: z.number(),
  /** Where its live machines were made: the apps that they share, and `org:` with an organisation. */
  buckets: z.array(z.string()),
});
export type Installation = z.output<typeof Installation>;

const Sighting = z.object({ confirmed: z.boolean() });

/** What owns machines at Fly.io. */
const Owners = z.object({ owners: z.array(CloudMachine), pooled: z.array(PooledMachine) });
export type Owners = z.output<typeof Owners>;

const Outcome = z.object({ outcome: z.enum(["applied", "conflict", "unknown_user"]) });

/** A machine without a row, from Fly.io's data. */
export interface Orphan {
  machineId: string;
  flyMachineId: string;
  app: string;
  createBucket: string;
  region: string;
  cpuPriority: string;
  userId: string;
  websocketUrl: string;
}

export class Ownership {
  constructor(private readonly database: DatabaseCaller) {}

  beginReconcile(projectHost: string | null, deadline: Deadline): Promise<Installation> {
    const args = unlessNull("p_project_host", projectHost);
    return this.database.rpc("begin_reconcile", args, Installation, deadline);
  }

  /**
   * Up to `limit` running and stopped rows in the order of their id, from after the row `after`.
   * `app`: the one that they share; null: those whose machines have apps of their own.
   */
  listLive(
    { app, after, limit }: { app: string | null; after: string | null; limit: number },
    deadline: Deadline,
  ): Promise<LiveMachine[]> {
    const args = {
      p_limit: limit,
      ...unlessNull("p_fly_app_name", app),
      ...unlessNull("p_after", after),
    };
    return this.database.rpc("list_live_machines", args, z.array(LiveMachine), deadline);
  }

  /**
   * The rows that own machines with one of these names or Fly ids, in any status, and the entries of
   * the pool with these names: a machine that a claim is just taking is in one of the two.
   */
  readOwners(
    { names, flyMachineIds }: { names: string[]; flyMachineIds: string[] },
    deadline: Deadline,
  ): Promise<Owners> {
    const args = { p_names: names, p_fly_machine_ids: flyMachineIds };
    return this.database.rpc("read_machines", args, Owners, deadline);
  }

  /** Returns whether an earlier sighting confirms that the live row's machine is missing. */
  async noteMissing(rowId: string, deadline: Deadline): Promise<boolean> {
    const args = { p_id: rowId };
    return (await this.database.rpc("note_missing_machine", args, Sighting, deadline)).confirmed;
  }

  /** Returns whether an earlier sighting confirms that the live row's machine has failed. */
  async noteFailed(rowId: string, deadline: Deadline): Promise<boolean> {
    const args = { p_id: rowId };
    return (await this.database.rpc("note_failed_machine", args, Sighting, deadline)).confirmed;
  }

  /** Earlier sightings that these machines were missing, or failed, were wrong. */
  async notePresent(flyMachineIds: string[], deadline: Deadline): Promise<void> {
    const args = { p_fly_machine_ids: flyMachineIds };
    await this.database.rpc("note_present_machines", args, z.number(), deadline);
  }

  /** Returns those of the machines that an earlier sighting confirms as orphans. */
  async noteOrphans(flyMachineIds: string[], deadline: Deadline): Promise<Set<string>> {
    const args = { p_fly_machine_ids: flyMachineIds };
    return new Set(await this.database.rpc("note_orphans", args, z.array(z.string()), deadline));
  }

  /** Records how many machines without a row are held back. Returns how many were before. */
  holdOrphans(count: number, deadline: Deadline): Promise<number> {
    return this.database.rpc("hold_orphans", { p_count: count }, z.number(), deadline);
  }

  /** Gives a row that was written off as `machine_lost` its machine back. */
  async markFound(rowId: string, origin: Origin, deadline: Deadline): Promise<boolean> {
    const args = {
      p_id: rowId,
      p_request_id: origin.requestId,
      p_duration_ms: origin.durationMs,
    };
    const { outcome } = await this.database.rpc("mark_machine_found", args, Outcome, deadline);
    return outcome === "applied";
  }

  /** Writes the row of a running machine that has none. Returns whether it was written. */
  async adopt(orphan: Orphan, requestId: string, deadline: Deadline): Promise<boolean> {
    const args = {
      p_machine_id: orphan.machineId,
      p_fly_machine_id: orphan.flyMachineId,
      p_fly_app_name: orphan.app,
      p_create_bucket: orphan.createBucket,
      p_region: orphan.region,
      p_cpu_priority: orphan.cpuPriority,
      p_user_id: orphan.userId,
      p_websocket_url: orphan.websocketUrl,
      p_request_id: requestId,
    };
    const { outcome } = await this.database.rpc("adopt_orphan", args, Outcome, deadline);
    return outcome === "applied";
  }
}
