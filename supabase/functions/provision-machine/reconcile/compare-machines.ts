/**
 * Compares what is ours at Fly.io with our rows. What no live row owns is an orphan; a live row
 * whose machine is not there has lost it, and one whose machine is in another state follows it. What
 * has a name that is not ours is never touched.
 */
import { originOf } from "../database/machines.ts";
import type { PooledMachine } from "../database/pool.ts";
import type { CloudMachine, LiveMachine } from "../database/rows.ts";
import type { Found, FoundList, Hosting } from "../hosting/hosting.ts";
import { NO_IDS, type ReconcileContext } from "./context.ts";
import { closeFailedMachines, findLostMachines } from "./find-lost-machines.ts";
import { followPool, type StandingBy } from "./follow-pool.ts";
import { differs, followStates } from "./follow-states.ts";
import { type Orphan, settleOrphans } from "./settle-orphans.ts";

const INCOMPLETE = new Error("a region did not answer, or an element could not be read");

/** Names per query. */
const OWNERS_PER_QUERY = 500;

/** Returns how many machines are held back; null when Fly.io could not be asked. */
export async function compareMachines(
  context: ReconcileContext,
  hosting: Hosting,
): Promise<number | null> {
  const { tag, report } = context;
  let list: FoundList;
  try {
    list = await hosting.list(context, tag);
  } catch (error) {
    report.fail("the machines could not be listed", error, NO_IDS);
    return null;
  }
  const living = list.found.filter(({ state }) => state !== "destroyed" && state !== "destroying");
  // The machines are listed before the rows are read, and every row is written before its machine
  // is created: a machine without a row is truly orphaned, not racing its insert.
  const owners = await readOwners(context, living);
  const orphans: Orphan[] = [];
  const changed: LiveMachine[] = [];
  const failed: LiveMachine[] = [];
  const pooled: StandingBy[] = [];
  for (const found of living) {
    const owner = owners.byFlyId.get(found.flyMachineId ?? "") ?? owners.byName.get(found.name);
    const entry = owner === undefined ? owners.pooled.get(found.name) : undefined;
    if (entry !== undefined) pooled.push({ found, entry });
    else if (wasLost(found, owner)) await markFound(context, found, owner);
    else if (isOwnedBy(found, owner)) {
      if (found.state === "failed") failed.push(owner);
      else if (differs(found.state, owner)) changed.push(owner);
    } else if (isOrphan(found, owner) && !isNew(found, context)) orphans.push({ found, owner });
  }
  await followStates(context, changed);
  await closeFailedMachines(context, failed);
  await followPool(context, hosting, { pooled, complete: list.complete });
  const held = await settleOrphans(context, hosting, { orphans, living: living.length });
  if (list.complete) {
    await findLostMachines(context, hosting, living);
  } else {
    // It proves nothing about what it lacks, so no row is compared with it.
    report.fail("the list of machines is incomplete", INCOMPLETE, NO_IDS);
  }
  return held;
}

/** The machine that a live row names, unless it is to be destroyed. */
function isOwnedBy(
  { flyMachineId }: Found,
  owner: CloudMachine | undefined,
): owner is LiveMachine {
  return (owner?.status === "running" || owner?.status === "stopped") &&
    owner.fly_machine_id === flyMachineId && owner.destroy_requested_at === null;
}

/** A row that is open owns its machine; a live row owns exactly the one that it names. */
function isOrphan({ flyMachineId }: Found, owner: CloudMachine | undefined): boolean {
  if (owner === undefined || owner.status === "error" || owner.status === "destroyed") return true;
  return (owner.status === "running" || owner.status === "stopped") && flyMachineId !== null &&
    owner.fly_machine_id !== flyMachineId;
}

/** It was written off but still runs: Fly.io's answers were wrong for a while. */
function wasLost(found: Found, owner: CloudMachine | undefined): owner is CloudMachine {
  return found.state === "started" && owner?.status === "error" &&
    owner.error_code === "machine_lost" && owner.fly_machine_id === found.flyMachineId &&
    owner.user_id !== null;
}

async function markFound(
  context: ReconcileContext,
  { name, flyMachineId }: Found,
  owner: CloudMachine,
): Promise<void> {
  const { ownership, deadline, report } = context;
  if (!await ownership.markFound(owner.id, originOf(context), deadline)) return;
  report.add({ action: "found", machineId: name, flyMachineId });
}

/**
 * Younger than any request, or a machine of unknown age: the request that created it may still be
 * at work, whatever its row says.
 */
function isNew(found: Found, { runtime, settings }: ReconcileContext): boolean {
  if (found.flyMachineId === null) return false;
  const ageMs = runtime.clock.now() - Date.parse(found.createdAt ?? "");
  return !(ageMs >= settings.PROVISION_TIMEOUT_SECONDS * 1_000);
}

async function readOwners({ ownership, deadline }: ReconcileContext, all: Found[]) {
  const byName = new Map<string, CloudMachine>();
  const byFlyId = new Map<string, CloudMachine>();
  const pooled = new Map<string, PooledMachine>();
  for (let first = 0; first < all.length; first += OWNERS_PER_QUERY) {
    const page = all.slice(first, first + OWNERS_PER_QUERY);
    const names = page.map(({ name }) => name);
    const flyMachineIds = page.flatMap(({ flyMachineId }) => flyMachineId ?? []);
    const read = await ownership.readOwners({ names, flyMachineIds }, deadline);
    for (const entry of read.pooled) pooled.set(entry.machine_id, entry);
    for (const row of read.owners) {
      byName.set(row.machine_id, row);
      if (row.fly_machine_id !== null) byFlyId.set(row.fly_machine_id, row);
    }
  }
  return { byName, byFlyId, pooled };
}
