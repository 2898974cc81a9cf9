/** The warm pool: no machine has two owners, is used twice, or stands by unseen. */
import type { Machine, MachineRow, PoolEntry } from "./evidence.ts";

/** A row as one write left it. */
interface VersionOfRow {
  row: Pick<MachineRow, "id" | "user_id" | "machine_id" | "fly_machine_id">;
}

/** Machines that two rows, or two users, had one after the other. */
export function machinesOfTwoOwners(versions: readonly VersionOfRow[]): string[] {
  const owned = versions.filter(({ row }) => row.fly_machine_id !== null);
  return [...Map.groupBy(owned, ({ row }) => row.fly_machine_id)].flatMap(([machine, had]) => {
    const rows = new Set(had.map(({ row }) => row.id));
    const users = new Set(had.flatMap(({ row }) => row.user_id ?? []));
    return rows.size > 1 || users.size > 1
      ? [`I3: machine ${machine} had ${rows.size} rows and ${users.size} users`]
      : [];
  });
}

/** Entries whose machine is a user's: one of the two will destroy or give away the other's. */
export function entriesOfUsers(
  rows: readonly Pick<MachineRow, "machine_id" | "status">[],
  pool: readonly PoolEntry[],
): string[] {
  return pool.filter(({ machine_id }) =>
    rows.some((row) => row.machine_id === machine_id && row.status !== "destroyed")
  ).map(({ machine_id }) => `I3: ${machine_id} is in the pool and a user's`);
}

/**
 * Once reconcile has come to rest: entries that are not exactly what they say. One that was discarded
 * may wait for a last look, in case its create still lands.
 */
export function untrueEntries(
  pool: readonly PoolEntry[],
  machines: readonly Machine[],
  size: number,
): string[] {
  const standing = pool.filter(({ machine_id, state }) =>
    state !== "discarded" || machines.some(({ name, live }) => live && name === machine_id)
  );
  const found = standing.flatMap(({ machine_id, fly_machine_id, standby, state }) => {
    const machine = machines.find(({ id }) => id === fly_machine_id);
    return state === "ready" && machine?.name === machine_id && machine.state === standby ? [] : [
      `I4: ${machine_id} is ${state} in the pool, and its machine is ${machine?.state ?? "gone"}`,
    ];
  });
  return standing.length === size
    ? found
    : [...found, `pool: ${standing.length} of ${size} stand by`];
}
