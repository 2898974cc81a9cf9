/**
 * Compares an app's machines at Fly.io with our rows. A machine of ours that no live row owns is an
 * orphan; a running row whose machine is not there has lost it. A machine with a name that is not
 * ours is never touched.
 */
import type { CloudMachine } from "../database/rows.ts";
import { hasNameOf } from "../fly/identity.ts";
import { type FlyMachine, listMachines, type MachineList } from "../fly/machines.ts";
import { originOf } from "../database/machines.ts";
import type { ReconcileContext } from "./context.ts";
import { findLostMachines } from "./find-lost-machines.ts";
import { type OrphanMachine, settleOrphans } from "./settle-orphans.ts";

/** Names per query. */
const OWNERS_PER_QUERY = 500;

/** Returns how many machines are held back; null when Fly.io could not be asked. */
export async function compareMachines(
  context: ReconcileContext,
  app: string,
): Promise<number | null> {
  const { fly, tag, deadline, report } = context;
  let list: MachineList;
  try {
    list = await listMachines(fly, app, { deadline });
  } catch (error) {
    report.fail("the machines could not be listed", error, { machineId: null, flyMachineId: null });
    return null;
  }
  const living = list.machines.filter(({ state }) =>
    state !== "destroyed" && state !== "destroying"
  );
  const ours = living.filter(({ name }) => hasNameOf(tag, name));
  // The machines are listed before the rows are read, and every row is written before its machine
  // is created: a machine without a row is truly orphaned, not racing its insert.
  const owners = await readOwners(context, ours);
  const orphans: OrphanMachine[] = [];
  for (const machine of ours) {
    const owner = owners.byFlyId.get(machine.id) ?? owners.byName.get(machine.name);
    if (wasLost(machine, owner)) await markFound(context, machine, owner);
    else if (isOrphan(machine, owner) && !isNew(machine, context)) {
      orphans.push({ machine, app, owner });
    }
  }
  const held = await settleOrphans(context, orphans, ours.length);
  // An incomplete list proves nothing about what it lacks.
  if (list.complete) await findLostMachines(context, app, new Set(living.map(({ id }) => id)));
  return held;
}

/** A row that is open owns its machine; a running row owns exactly the one that it names. */
function isOrphan(machine: FlyMachine, owner: CloudMachine | undefined): boolean {
  if (owner === undefined || owner.status === "error" || owner.status === "destroyed") return true;
  return owner.status === "running" && owner.fly_machine_id !== machine.id;
}

/** It was written off, and runs all the same: Fly.io's answers were wrong for a while. */
function wasLost(machine: FlyMachine, owner: CloudMachine | undefined): owner is CloudMachine {
  return machine.state === "started" && owner?.status === "error" &&
    owner.error_code === "machine_lost" && owner.fly_machine_id === machine.id &&
    owner.user_id !== null;
}

async function markFound(
  context: ReconcileContext,
  machine: FlyMachine,
  owner: CloudMachine,
): Promise<void> {
  const { ownership, deadline, report } = context;
  if (!await ownership.markFound(owner.id, originOf(context), deadline)) return;
  report.add({ action: "found", machineId: machine.name, flyMachineId: machine.id });
}

/**
 * Younger than any request, or of unknown age: the request that created it may still be at work,
 * whatever its row says.
 */
function isNew(machine: FlyMachine, { runtime, settings }: ReconcileContext): boolean {
  const ageMs = runtime.clock.now() - Date.parse(machine.created_at ?? "");
  return !(ageMs >= settings.PROVISION_TIMEOUT_SECONDS * 1_000);
}

async function readOwners({ ownership, deadline }: ReconcileContext, machines: FlyMachine[]) {
  const byName = new Map<string, CloudMachine>();
  const byFlyId = new Map<string, CloudMachine>();
  for (let first = 0; first < machines.length; first += OWNERS_PER_QUERY) {
    const page = machines.slice(first, first + OWNERS_PER_QUERY);
    const names = page.map(({ name }) => name);
    const flyMachineIds = page.map(({ id }) => id);
    for (const row of await ownership.readOwners({ names, flyMachineIds }, deadline)) {
      byName.set(row.machine_id, row);
      if (row.fly_machine_id !== null) byFlyId.set(row.fly_machine_id, row);
    }
  }
  return { byName, byFlyId };
}
