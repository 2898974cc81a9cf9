/**
 * Machines of ours that no live row owns. Each is destroyed after two sightings at least a minute
 * apart. When many have no row at all, as after a restored backup, none is destroyed until an
 * operator decides: they may be healthy machines of customers.
 */
import type { CloudMachine } from "../database/rows.ts";
import { getMachine } from "../fly/machines.ts";
import { chooseHosting } from "../hosting/choose-hosting.ts";
import type { Found, Hosting } from "../hosting/hosting.ts";
import { inParallel } from "../time.ts";
import { forOneItem, type ReconcileContext } from "./context.ts";

const PARALLEL = 4;
/** Each costs two calls to Fly.io; the rest waits for the next run. */
const MAX_PER_RUN = 50;
/** More machines without a row than this, in number and in share, are held back. */
const BRAKE = { count: 5, share: 0.05 };

export interface Orphan {
  found: Found;
  /** The closed row that once owned it. */
  owner: CloudMachine | undefined;
}

/**
 * `living`: how many of ours the list had. Returns how many are held back for an operator's
 * decision.
 */
export async function settleOrphans(
  context: ReconcileContext,
  hosting: Hosting,
  { orphans, living }: { orphans: readonly Orphan[]; living: number },
): Promise<number> {
  const { orphans: decision, orphansHeldBefore } = context;
  const withoutRow = orphans.filter(({ owner }) => owner === undefined);
  // A list that misses machines shows fewer of them for a while, so an earlier hold lasts.
  const tooMany = orphansHeldBefore > 0 ||
    (withoutRow.length > BRAKE.count && withoutRow.length > BRAKE.share * living);
  const held = tooMany && decision === undefined ? withoutRow.length : 0;

  if (decision === "adopt") await adoptOrphans(context, withoutRow);
  const mayBeDestroyed = orphans.filter(({ owner }) =>
    owner !== undefined || (held === 0 && decision !== "adopt")
  );
  await destroyOrphans(context, hosting, mayBeDestroyed.slice(0, MAX_PER_RUN));
  return held;
}

async function destroyOrphans(
  context: ReconcileContext,
  hosting: Hosting,
  orphans: readonly Orphan[],
): Promise<void> {
  const { ownership, deadline, report } = context;
  if (orphans.length === 0) return;
  const seen = new Set<string>();
  await inParallel(PARALLEL, orphans, async ({ found }) => {
    try {
      // Each sighting is by the list and by the machine, or its app, itself.
      if (await hosting.confirm(forOneItem(context), found)) seen.add(found.key);
    } catch (error) {
      report.fail("an orphaned machine could not be checked", error, idsOf(found));
    }
  });
  const confirmed = await ownership.noteOrphans([...seen], deadline);
  const sighted = orphans.filter(({ found }) => seen.has(found.key));
  await inParallel(PARALLEL, sighted, async ({ found, owner }) => {
    const reason = owner ? `its row is ${owner.status}` : "it has no row";
    if (!confirmed.has(found.key)) {
      return report.add({ action: "suspected", ...idsOf(found), reason });
    }
    try {
      await hosting.destroyFound(forOneItem(context), found);
      report.add({ action: "orphansDestroyed", ...idsOf(found), reason });
    } catch (error) {
      report.fail("an orphaned machine could not be destroyed", error, idsOf(found));
    }
  });
}

/** Writes the rows of started machines again, from what Fly.io knows and a machine cannot change. */
async function adoptOrphans(context: ReconcileContext, orphans: readonly Orphan[]): Promise<void> {
  const { fly, ownership, settings, deadline, report, requestId } = context;
  const { addressTemplate } = chooseHosting(settings);
  await inParallel(PARALLEL, orphans, async ({ found }) => {
    const { app, createBucket, flyMachineId } = found;
    try {
      if (flyMachineId === null) return;
      const { deadline: soon } = forOneItem(context);
      const now = await getMachine(fly, app, flyMachineId, { deadline: soon });
      const { USER_ID: userId, CPU_PRIORITY: cpuPriority = "normal" } = now?.config?.env ?? {};
      if (now?.name !== found.name || now.state !== "started" || userId === undefined) return;
      const { name: machineId, region } = now;
      const websocketUrl = addressTemplate
        .replaceAll("{app}", app).replaceAll("{machineId}", machineId);
      const orphan = {
        machineId,
        flyMachineId,
        app,
        createBucket,
        region,
        cpuPriority,
        userId,
        websocketUrl,
      };
      if (await ownership.adopt(orphan, requestId, deadline)) {
        report.add({ action: "adopted", ...idsOf(found), reason: "it had no row" });
      }
    } catch (error) {
      report.fail("an orphaned machine could not be adopted", error, idsOf(found));
    }
  });
}

function idsOf({ name, flyMachineId }: Found) {
  return { machineId: name, flyMachineId };
}
