/** I4: nothing bills unseen, a running row has its machine, and what belongs to others stays untouched. */
import type { EventRow, Machine, MachineRow, PoolEntry } from "./evidence.ts";

type Row = Pick<MachineRow, "machine_id" | "fly_machine_id" | "status">;

/** A row whose machine is there. */
function isLive({ status }: Pick<MachineRow, "status">): boolean {
  return status === "running" || status === "stopped";
}

/** Once reconcile has come to rest: living machines that are not those of a live row. */
export function unseenMachines(
  rows: readonly (Row & Pick<MachineRow, "user_id">)[],
  machines: readonly Machine[],
  pool: readonly PoolEntry[] = [],
): string[] {
  return machines.filter(({ live }) => live).flatMap(({ id, name }) => {
    const standsBy = pool.some((entry) => entry.machine_id === name && entry.fly_machine_id === id);
    if (standsBy) return [];
    const row = rows.find(({ machine_id }) => machine_id === name);
    if (row === undefined || !isLive(row) || row.fly_machine_id !== id) {
      const state = row ? `${row.status} with machine ${row.fly_machine_id}` : "missing";
      return [`I4: machine ${id} (${name}) lives, and its row is ${state}`];
    }
    return row.user_id === null ? [`I4: machine ${id} (${name}) lives without an owner`] : [];
  });
}

/** At any time: living machines of closed rows that reconcile will not visit again. */
export function forgottenMachines(
  rows: readonly (Row & Pick<MachineRow, "reconcile_at">)[],
  machines: readonly Machine[],
): string[] {
  return rows.flatMap(({ machine_id, status, reconcile_at }) => {
    const closed = status === "error" || status === "destroyed";
    const lives = machines.some(({ name, live }) => live && name === machine_id);
    return closed && reconcile_at === null && lives
      ? [`I4: ${machine_id} is ${status}, and its machine lives unseen by reconcile`]
      : [];
  });
}

/**
 * Live rows without their machine.
 *
 * @param state `started` where no machine is stopped or fails once it is up.
 */
export function runningWithoutMachine(
  rows: readonly Row[],
  machines: readonly Machine[],
  state: "live" | "started",
): string[] {
  return rows.filter(isLive).flatMap(({ machine_id, status, ...row }) => {
    const machine = machines.find(({ id }) => id === row.fly_machine_id);
    const there = machine?.live === true && machine.name === machine_id &&
      (state === "live" || status === "stopped" || machine.state === "started");
    return there
      ? []
      : [`I4: ${machine_id} is ${status}, and its machine is ${machine?.state ?? "gone"}`];
  });
}

/** Rows that were called lost, where nothing is destroyed behind the function's back. */
export function falseAlarms(events: readonly EventRow[]): string[] {
  return events.filter(({ kind }) => kind === "machine_lost")
    .map(({ cloud_machine_id }) => `I4: ${cloud_machine_id} was called lost`);
}

/** Machines of others in the same app that were destroyed. */
export function destroyedForeigners(
  machines: readonly Machine[],
  foreignIds: readonly string[],
): string[] {
  return machines.filter(({ id, live }) => !live && foreignIds.includes(id))
    .map(({ name }) => `I4: ${name}, not ours, was destroyed`);
}

/** Apps at Fly.io, by name. */
export interface AppsLeft {
  /** Those that exist. */
  apps: readonly string[];
  /** Those that belong to others; an app that machines share is its operator's. */
  foreignApps: readonly string[];
}

/** Once reconcile has come to rest: apps of ours that are not those of a live row. */
export function unseenApps(
  rows: readonly Row[],
  { apps, foreignApps }: AppsLeft,
  pool: readonly PoolEntry[] = [],
): string[] {
  return apps.filter((name) => !foreignApps.includes(name)).flatMap((name) => {
    if (pool.some(({ machine_id }) => machine_id === name)) return [];
    const row = rows.find(({ machine_id }) => machine_id === name);
    return row !== undefined && isLive(row)
      ? []
      : [`I4: app ${name} is left, and its row is ${row?.status ?? "missing"}`];
  });
}

/** Apps of others that were destroyed, or that got a machine of ours. */
export function touchedApps(
  machines: readonly (Machine & { app: string })[],
  { apps, foreignApps }: AppsLeft,
): string[] {
  return [
    ...foreignApps.filter((name) => !apps.includes(name))
      .map((name) => `I4: app ${name}, not ours, was destroyed`),
    // Where machines have apps of their own, an app of the machine's name is nobody else's.
    ...machines.filter(({ app, name }) => app === name && foreignApps.includes(app))
      .map(({ name }) => `I4: a machine was made in ${name}, a stranger's app`),
  ];
}
