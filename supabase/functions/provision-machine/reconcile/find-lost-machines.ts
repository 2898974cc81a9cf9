/**
 * Running and stopped rows whose Fly machine is gone, such as one destroyed in Fly.io's dashboard, or
 * has failed and will not run again.
 */
import { originOf } from "../database/machines.ts";
import type { LiveMachine } from "../database/rows.ts";
import { newestExit } from "../fly/exit-event.ts";
import type { FlyMachine } from "../fly/machines.ts";
import { type Found, type Hosting, machineOfRow } from "../hosting/hosting.ts";
import { findMachineOfRow } from "../hosting/machine-of-row.ts";
import { inParallel } from "../time.ts";
import { forOneItem, type ReconcileContext } from "./context.ts";
import { followState } from "./follow-states.ts";

const PAGE = 500;
const PARALLEL = 4;
/** Each suspect costs a call to Fly.io; the rest waits for the next run. */
const MAX_SUSPECTS_PER_RUN = 100;

/** Rows whose machine the list calls failed, which it does also where it lacks others. */
export async function closeFailedMachines(
  context: ReconcileContext,
  rows: readonly LiveMachine[],
): Promise<void> {
  await checkInTurn(context, rows, "a failed machine could not be checked", async (item, row) => {
    const machine = await lookUp(item, row);
    // What the list shows is not gone, whatever one answer says.
    if (machine !== null) await judge(item, row, machine);
  });
}

/** `living`: the machines that Fly.io listed; the list was complete. */
export async function findLostMachines(
  context: ReconcileContext,
  hosting: Hosting,
  living: readonly Found[],
): Promise<void> {
  const { ownership, deadline } = context;
  const states = new Map(living.map(({ flyMachineId, state }) => [flyMachineId, state]));
  const suspects: LiveMachine[] = [];
  const back: string[] = [];
  for (let after: string | null = null; !deadline.passed();) {
    const page: LiveMachine[] = await hosting.listLive(
      ownership,
      { after, limit: PAGE },
      deadline,
    );
    for (const row of page) {
      const state = states.get(row.fly_machine_id);
      if (state !== undefined) {
        if (wasSuspected(row) && state !== "failed") back.push(row.fly_machine_id);
        // A machine that is being destroyed is expected to go.
      } else if (row.destroy_requested_at === null) suspects.push(row);
    }
    after = page.at(-1)?.id ?? null;
    if (page.length < PAGE) break;
  }
  if (back.length > 0) await ownership.notePresent(back, deadline);
  await checkInTurn(
    context,
    suspects,
    "a missing machine could not be checked",
    async (item, row) => {
      // A list can miss a machine that lives, so the machine itself is asked for.
      const machine = await lookUp(item, row);
      if (machine !== null) return await judge(item, row, machine);
      await close(item, row, {
        code: "machine_lost",
        message: "The machine no longer exists at Fly.io",
        suspicion: "Fly.io does not know it",
      });
    },
  );
}

/** With more rows than one run can check, every run begins somewhere else. */
async function checkInTurn(
  context: ReconcileContext,
  rows: readonly LiveMachine[],
  whatFailed: string,
  check: (context: ReconcileContext, row: LiveMachine) => Promise<void>,
): Promise<void> {
  const { runtime, report } = context;
  const start = Math.floor(runtime.random() * rows.length);
  const turn = rows.length > MAX_SUSPECTS_PER_RUN
    ? [...rows.slice(start), ...rows.slice(0, start)].slice(0, MAX_SUSPECTS_PER_RUN)
    : rows;
  await inParallel(PARALLEL, turn, async (row) => {
    try {
      await check(forOneItem(context), row);
    } catch (error) {
      const ids = { machineId: row.machine_id, flyMachineId: row.fly_machine_id };
      report.fail(whatFailed, error, ids);
    }
  });
}

/** The machine's own answer; null when it is gone. */
async function lookUp(context: ReconcileContext, row: LiveMachine): Promise<FlyMachine | null> {
  const machine = await findMachineOfRow(context, machineOfRow(row));
  return machine?.state === "destroyed" ? null : machine;
}

/** The machine exists, as it answered for itself, and need not be in the state that its row has. */
async function judge(
  context: ReconcileContext,
  row: LiveMachine,
  machine: FlyMachine,
): Promise<void> {
  if (machine.state !== "failed") {
    await notePresent(context, row);
    return await followState(context, row, machine);
  }
  const exit = newestExit(machine.events ?? [])?.description;
  await close(context, row, {
    code: "machine_failed",
    message: ["The machine failed at Fly.io", ...(exit ? [exit] : [])].join("; "),
    suspicion: "it is failed at Fly.io",
  });
}

function wasSuspected({ missing_since, failed_since }: LiveMachine): boolean {
  return missing_since !== null || failed_since !== null;
}

async function notePresent(
  { ownership, deadline }: ReconcileContext,
  row: LiveMachine,
): Promise<void> {
  if (wasSuspected(row)) await ownership.notePresent([row.fly_machine_id], deadline);
}

/** Once two sightings agree; a failed machine is destroyed by the next run. */
async function close(
  context: ReconcileContext,
  row: LiveMachine,
  { code, message, suspicion }: {
    code: "machine_failed" | "machine_lost";
    message: string;
    suspicion: string;
  },
): Promise<void> {
  const { machines, ownership, deadline, report } = context;
  const ids = { machineId: row.machine_id, flyMachineId: row.fly_machine_id };
  const failed = code === "machine_failed";
  const confirmed = failed
    ? await ownership.noteFailed(row.id, deadline)
    : await ownership.noteMissing(row.id, deadline);
  if (!confirmed) return report.add({ action: "suspected", ...ids, reason: suspicion });
  const marked = await machines.markError(
    row.id,
    { from: row.status, code, message, flyMachineId: null, recheckInMs: failed ? 0 : null },
    originOf(context),
    deadline,
  );
  if (marked.outcome !== "applied") return;
  report.add({
    action: failed ? "crashed" : "lost",
    ...ids,
    ...(failed ? { reason: message } : {}),
  });
}
