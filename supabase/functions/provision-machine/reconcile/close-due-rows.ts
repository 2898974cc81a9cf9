/**
 * Rows that are due: requests that died before they closed their row, machines somebody wants
 * gone, and failures whose clean-up could not be confirmed.
 */
import { AppError } from "../errors.ts";
import { findOwnMachine } from "../fly/create-once.ts";
import { destroyRowMachine } from "../fly/destroy-row-machine.ts";
import { type FlyMachine, getMachine } from "../fly/machines.ts";
import type { CloudMachine, Transition } from "../database/rows.ts";
import type { Origin } from "../database/cloud-machines.ts";
import { machineIdentity } from "../provisioning/machine-config.ts";
import type { ReconcileContext } from "./handle-reconcile.ts";
import { inParallel } from "./in-parallel.ts";
import { makeFlyClient } from "../fly/make-client.ts";

const PAGE = 20;
const MAX_PAGES = 5;
const PARALLEL = 4;
/** Longer than a run: a row comes back only if the run died. */
const LEASE_MS = 60_000;
/** When to look again for a machine whose create may still land. */
const LOOK_AGAIN_MS = 60_000;

export async function closeDueRows(context: ReconcileContext): Promise<void> {
  const { request, deadline, report } = context;
  for (let page = 0; page < MAX_PAGES && !deadline.passed(); page++) {
    const rows = await request.database.machines.takeDue(PAGE, LEASE_MS, deadline);
    await inParallel(PARALLEL, rows, async (row) => {
      const ids = { machineId: row.machine_id, flyMachineId: row.fly_machine_id };
      try {
        await closeDueRow(context, row);
      } catch (error) {
        report.fail("a due row could not be closed", error, ids);
      }
    });
    if (rows.length < PAGE) return;
  }
}

async function closeDueRow(context: ReconcileContext, row: CloudMachine): Promise<void> {
  if (row.destroy_requested_at !== null && row.status !== "destroyed") {
    return await finishDestroy(context, row);
  }
  if (row.status === "provisioning") return await closeInterrupted(context, row);
  await finishCleanUp(context, row);
}

/** The request died. A machine that runs is what its user asked for; anything less is destroyed. */
async function closeInterrupted(context: ReconcileContext, row: CloudMachine): Promise<void> {
  const { request, deadline, report } = context;
  const { machines } = request.database;
  const machine = await findMachine(context, row);
  const ids = { machineId: row.machine_id, flyMachineId: machine?.id ?? null };
  if (machine?.state === "started") {
    const { id, region } = machine;
    const adopted = await machines.markRunning(
      row.id,
      { id, region, adopted: true },
      originOf(context),
      deadline,
    );
    if (adopted.outcome === "applied") report.add({ action: "adopted", ...ids });
    return;
  }
  const closed = await machines.markError(
    row.id,
    {
      from: "provisioning",
      code: "interrupted",
      message: "The request that provisioned this machine was interrupted before it finished",
      flyMachineId: machine?.id ?? null,
      cleanupInMs: LOOK_AGAIN_MS,
    },
    originOf(context),
    deadline,
  );
  if (closed.outcome !== "applied") return;
  report.add({ action: "interrupted", ...ids });
  // Not found is not gone: a create may still land, so this row stays due once more.
  if (machine && await destroy(context, closed.machine)) {
    await machines.markCleanedUp(row.id, originOf(context), deadline);
  }
}

async function finishDestroy(context: ReconcileContext, row: CloudMachine): Promise<void> {
  const { request, deadline, report } = context;
  const gone = await destroy(context, row);
  const marked = await request.database.machines.markDestroyed(
    row.id,
    !gone,
    originOf(context),
    deadline,
  );
  assertFound(marked);
  report.add({ action: "destroyed", machineId: row.machine_id, flyMachineId: row.fly_machine_id });
}

/** The second look at a row that is closed already: what is there is destroyed, nothing is fine. */
async function finishCleanUp(context: ReconcileContext, row: CloudMachine): Promise<void> {
  const { request, deadline, report } = context;
  await destroy(context, row);
  assertFound(await request.database.machines.markCleanedUp(row.id, originOf(context), deadline));
  report.add({ action: "cleanedUp", machineId: row.machine_id, flyMachineId: row.fly_machine_id });
}

function destroy(
  { request, settings, deadline }: ReconcileContext,
  row: CloudMachine,
): Promise<boolean> {
  if (row.fly_app_name === null) return Promise.resolve(true);
  return destroyRowMachine({
    runtime: request.services.runtime,
    fly: makeFlyClient(request.services, settings, request.trace),
    app: row.fly_app_name,
    machineId: row.machine_id,
    identity: machineIdentity(settings.SUPABASE_URL, row.id),
    flyMachineId: row.fly_machine_id,
    deadline,
  });
}

async function findMachine(
  { request, settings, deadline }: ReconcileContext,
  row: CloudMachine,
): Promise<FlyMachine | null> {
  const { fly_app_name: app, fly_machine_id: id } = row;
  if (app === null) return null;
  const fly = makeFlyClient(request.services, settings, request.trace);
  if (id !== null) return await getMachine(fly, app, id, { deadline });
  const identity = machineIdentity(settings.SUPABASE_URL, row.id);
  return await findOwnMachine({ fly, app, body: { name: row.machine_id }, identity, deadline }) ??
    null;
}

function assertFound(transition: Transition): void {
  if (transition.outcome !== "not_found") return;
  throw new AppError("internal_error", "The row was deleted while reconcile worked on it");
}

export function originOf({ request }: ReconcileContext): Origin {
  const { requestId, startedAt, services } = request;
  return { requestId, durationMs: services.runtime.clock.now() - startedAt };
}
