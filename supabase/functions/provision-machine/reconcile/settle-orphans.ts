/**
 * Machines of ours that no live row owns. Each is destroyed after two sightings at least a minute
 * apart. When many have no row at all, as after a restored backup, none is destroyed until an
 * operator decides: they may be healthy machines of customers.
 */
import type { CloudMachine } from "../database/rows.ts";
import { destroyMachine, type FlyMachine, getMachine } from "../fly/machines.ts";
import { inParallel } from "../time.ts";
import type { ReconcileContext } from "./context.ts";

const PARALLEL = 4;
/** Each costs two calls to Fly.io; the rest waits for the next run. */
const MAX_PER_RUN = 50;
/** More machines without a row than this, in number and in share, are held back. */
const BRAKE = { count: 5, share: 0.05 };

export interface OrphanMachine {
  machine: FlyMachine;
  app: string;
  /** The closed row that once owned it. */
  owner: CloudMachine | undefined;
}

/**
 * `living`: how many machines of ours the list had. Returns how many are held back for an operator's
 * decision.
 */
export async function settleOrphans(
  context: ReconcileContext,
  orphans: readonly OrphanMachine[],
  living: number,
): Promise<number> {
  const { orphans: decision } = context;
  const withoutRow = orphans.filter(({ owner }) => owner === undefined);
  const tooMany = withoutRow.length > BRAKE.count && withoutRow.length > BRAKE.share * living;
  const held = tooMany && decision === undefined ? withoutRow.length : 0;
  if (decision === "adopt") await adoptOrphans(context, withoutRow);
  const mayBeDestroyed = orphans.filter(({ owner }) =>
    owner !== undefined || (held === 0 && decision !== "adopt")
  );
  await destroyOrphans(context, mayBeDestroyed.slice(0, MAX_PER_RUN));
  return held;
}

async function destroyOrphans(
  context: ReconcileContext,
  orphans: readonly OrphanMachine[],
): Promise<void> {
  const { fly, ownership, deadline, report } = context;
  if (orphans.length === 0) return;
  const seen = new Set<string>();
  await inParallel(PARALLEL, orphans, async ({ machine, app }) => {
    try {
      // Each sighting is by the list and by the machine itself.
      const now = await getMachine(fly, app, machine.id, { deadline });
      if (now?.name === machine.name && now.state !== "destroyed") seen.add(machine.id);
    } catch (error) {
      report.fail("an orphaned machine could not be checked", error, idsOf(machine));
    }
  });
  const confirmed = await ownership.noteOrphans([...seen], deadline);
  const sighted = orphans.filter(({ machine }) => seen.has(machine.id));
  await inParallel(PARALLEL, sighted, async ({ machine, app, owner }) => {
    const reason = owner ? `its row is ${owner.status}` : "it has no row";
    if (!confirmed.has(machine.id)) {
      return report.add({ action: "suspected", ...idsOf(machine), reason });
    }
    try {
      await destroyMachine(fly, app, machine.id, { deadline });
      report.add({ action: "orphansDestroyed", ...idsOf(machine), reason });
    } catch (error) {
      report.fail("an orphaned machine could not be destroyed", error, idsOf(machine));
    }
  });
}

/** Writes the rows of started machines again, from what Fly.io knows and a machine cannot change. */
async function adoptOrphans(
  context: ReconcileContext,
  orphans: readonly OrphanMachine[],
): Promise<void> {
  const { fly, ownership, settings, deadline, report, requestId } = context;
  await inParallel(PARALLEL, orphans, async ({ machine, app }) => {
    try {
      const now = await getMachine(fly, app, machine.id, { deadline });
      const { USER_ID: userId, CPU_PRIORITY: cpuPriority = "normal" } = now?.config?.env ?? {};
      if (now?.name !== machine.name || now.state !== "started" || userId === undefined) return;
      const websocketUrl = settings.WEBSOCKET_URL_TEMPLATE
        .replaceAll("{app}", app).replaceAll("{machineId}", now.name);
      const { id: flyMachineId, name: machineId, region } = now;
      const orphan = { machineId, flyMachineId, app, region, cpuPriority, userId, websocketUrl };
      if (await ownership.adopt(orphan, requestId, deadline)) {
        report.add({ action: "adopted", ...idsOf(machine), reason: "it had no row" });
      }
    } catch (error) {
      report.fail("an orphaned machine could not be adopted", error, idsOf(machine));
    }
  });
}

function idsOf({ name, id }: FlyMachine) {
  return { machineId: name, flyMachineId: id };
}
