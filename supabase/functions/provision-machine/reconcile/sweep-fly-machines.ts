/**
 * The other direction: Fly machines of this project whose row is closed or missing are destroyed,
 * so that nothing bills unseen. A machine without our metadata is never touched.
 */
import type { CloudMachine } from "../database/rows.ts";
import { projectTags } from "../fly/identity.ts";
import { destroyMachine, type FlyMachine, listMachines } from "../fly/machines.ts";
import { inParallel } from "../time.ts";
import type { ReconcileContext } from "./context.ts";

const PARALLEL = 4;
const MAX_DESTROYED_PER_RUN = 50;
/** Ids per query, so that its URL stays short. */
const ROWS_PER_QUERY = 100;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Returns the ids of the project's machines that live, or null when Fly.io could not be asked. */
export async function sweepFlyMachines(
  context: ReconcileContext,
  app: string,
): Promise<Set<string> | null> {
  const { fly, settings, deadline, report } = context;
  let listed: FlyMachine[];
  try {
    listed = await listMachines(fly, app, projectTags(settings.SUPABASE_URL), { deadline });
  } catch (error) {
    report.fail("the machines could not be listed", error, { machineId: null, flyMachineId: null });
    return null;
  }
  const living = listed.filter(({ state }) => state !== "destroyed" && state !== "destroying");
  // The machines are listed before the rows are read, and every row is written before its machine
  // is created: a machine without a row is truly orphaned, not racing its insert.
  const rows = await readRows(context, living);
  const orphans = living.filter((machine) => isOrphan(machine, rows.get(rowIdOf(machine) ?? "")))
    .filter((machine) => !isNew(machine, context));
  await inParallel(PARALLEL, orphans.slice(0, MAX_DESTROYED_PER_RUN), async (machine) => {
    const ids = { machineId: machine.name, flyMachineId: machine.id };
    try {
      await destroyMachine(fly, app, machine.id, { deadline });
      const row = rows.get(rowIdOf(machine) ?? "");
      const reason = row ? `its row is ${row.status}` : "it has no row";
      report.add({ action: "orphansDestroyed", ...ids, reason });
    } catch (error) {
      report.fail("an orphaned machine could not be destroyed", error, ids);
    }
  });
  return new Set(living.map(({ id }) => id));
}

/** A row that is open owns its machine; a running row owns exactly the one that it names. */
function isOrphan(machine: FlyMachine, row: CloudMachine | undefined): boolean {
  if (row === undefined || row.status === "error" || row.status === "destroyed") return true;
  return row.status === "running" && row.fly_machine_id !== machine.id;
}

/** Younger than any request: the one that created it may still be at work, whatever its row says. */
function isNew(machine: FlyMachine, { runtime, settings }: ReconcileContext): boolean {
  const createdAt = Date.parse(machine.created_at ?? "");
  const ageMs = runtime.clock.now() - createdAt;
  return ageMs < settings.PROVISION_TIMEOUT_SECONDS * 1_000;
}

function rowIdOf(machine: FlyMachine): string | undefined {
  const id = machine.config?.metadata?.["cloud_machine_id"];
  return typeof id === "string" ? id : undefined;
}

async function readRows(
  { machines: table, deadline }: ReconcileContext,
  machines: FlyMachine[],
): Promise<Map<string, CloudMachine>> {
  const ids = machines.map(rowIdOf).filter((id): id is string => id !== undefined && UUID.test(id));
  const rows = new Map<string, CloudMachine>();
  for (let first = 0; first < ids.length; first += ROWS_PER_QUERY) {
    const page = ids.slice(first, first + ROWS_PER_QUERY);
    for (const row of await table.findAll(page, deadline)) {
      rows.set(row.id, row);
    }
  }
  return rows;
}
