/**
 * Rows that are due: requests that died before they closed their row, machines that are to be
 * destroyed, and failures whose clean-up could not be confirmed.
 */
import { originOf } from "../database/machines.ts";
import type { CloudMachine, ProvisioningMachine, Transition } from "../database/rows.ts";
import { AppError } from "../errors.ts";
import { FlyError } from "../fly/errors.ts";
import type { FlyMachine } from "../fly/machines.ts";
import { destroyMachineOfRow, findMachineOfRow } from "../hosting/machine-of-row.ts";
import { machineOfRow } from "../hosting/hosting.ts";
import { inParallel } from "../time.ts";
import { type DatabaseContext, forOneItem, type ReconcileContext } from "./context.ts";

const PAGE = 20;
const MAX_PAGES = 10;
const PARALLEL = 10;
/** About the interval between runs; a row that fails again and again comes back later and later. */
const LEASE_MS = 50_000;
/** When to check again for a machine whose create may still land. */
const RECHECK_MS = 60_000;

export async function closeDueRows(context: ReconcileContext): Promise<void> {
  const { machines, runtime, deadline, report } = context;
  for (let page = 0; page < MAX_PAGES && !deadline.passed(); page++) {
    const call = runtime.randomUUID();
    const rows = await machines.takeDue({ limit: PAGE, leaseMs: LEASE_MS, call }, deadline);
    await inParallel(PARALLEL, rows, async (row) => {
      const ids = { machineId: row.machine_id, flyMachineId: row.fly_machine_id };
      try {
        await closeDueRow(forOneItem(context), row);
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

/** The request died. A started machine is what its user asked for; anything less is destroyed. */
async function closeInterrupted(
  context: ReconcileContext,
  row: ProvisioningMachine,
): Promise<void> {
  const { machines, report } = context;
  const machine = await findMachine(context, row).catch((error) => {
    // Fly.io cannot be asked; the row is closed anyway, and cleaned up once it can be.
    if (!(error instanceof FlyError)) throw error;
    report.fail("the machine of an interrupted request could not be looked up", error, {
      machineId: row.machine_id,
      flyMachineId: row.fly_machine_id,
    });
    return null;
  });
  const deadline = context.closeDeadline;
  const ids = { machineId: row.machine_id, flyMachineId: machine?.id ?? null };
  if (machine?.state === "started") {
    const { id, region } = machine;
    const fly = { id, region, adopted: true };
    const adopted = await machines.markRunning(row.id, fly, originOf(context), deadline);
    if (adopted.outcome === "applied") report.add({ action: "adopted", ...ids });
    return;
  }
  const closed = await markInterrupted(context, row, machine?.id ?? null);
  if (closed.outcome !== "applied") return;
  report.add({ action: "interrupted", ...ids });
  // Not found is not gone: a create may still land, so this row stays due once more.
  if (machine && await destroy(context, closed.machine)) {
    await machines.markCleanedUp(row.id, originOf(context), deadline);
  }
}

function markInterrupted(
  context: DatabaseContext,
  row: ProvisioningMachine,
  flyMachineId: string | null,
): Promise<Transition> {
  return context.machines.markError(
    row.id,
    {
      from: "provisioning",
      code: "interrupted",
      message: "The request that provisioned this machine was interrupted before it finished",
      flyMachineId,
      recheckInMs: RECHECK_MS,
    },
    originOf(context),
    context.closeDeadline,
  );
}

/**
 * For when Fly.io cannot be called with what is configured: even then no row stays provisioning.
 * What they may have left is cleaned up once it can be.
 */
export async function closeOverdueRows(context: DatabaseContext): Promise<void> {
  const { machines, runtime, closeDeadline, report } = context;
  const taking = { limit: PAGE * MAX_PAGES, leaseMs: LEASE_MS, call: runtime.randomUUID() };
  for (const row of await machines.takeDue(taking, closeDeadline)) {
    if (row.status !== "provisioning") continue;
    const { outcome } = await markInterrupted(context, row, row.fly_machine_id);
    if (outcome !== "applied") continue;
    const { machine_id: machineId, fly_machine_id: flyMachineId } = row;
    report.add({ action: "interrupted", machineId, flyMachineId });
  }
}

async function finishDestroy(context: ReconcileContext, row: CloudMachine): Promise<void> {
  const { machines, deadline, report } = context;
  const gone = await destroy(context, row);
  const change = { id: row.id, mayStillAppear: !gone };
  assertFound(await machines.markDestroyed(change, originOf(context), deadline));
  report.add({ action: "destroyed", machineId: row.machine_id, flyMachineId: row.fly_machine_id });
}

/** The second check of a row that is closed already: a machine is destroyed, none is fine. */
async function finishCleanUp(context: ReconcileContext, row: CloudMachine): Promise<void> {
  const { machines, deadline, report } = context;
  await destroy(context, row);
  assertFound(await machines.markCleanedUp(row.id, originOf(context), deadline));
  report.add({ action: "cleanedUp", machineId: row.machine_id, flyMachineId: row.fly_machine_id });
}

async function destroy(context: ReconcileContext, row: CloudMachine): Promise<boolean> {
  const machine = machineOfRow(row);
  return machine === null || await destroyMachineOfRow(context, machine);
}

async function findMachine(
  context: ReconcileContext,
  row: ProvisioningMachine,
): Promise<FlyMachine | null> {
  const machine = machineOfRow(row);
  const found = machine && await findMachineOfRow(context, machine);
  return found?.name === row.machine_id ? found : null;
}

function assertFound(transition: Transition): void {
  if (transition.outcome !== "not_found") return;
  throw new AppError("internal_error", "The row was deleted while reconcile worked on it");
}
