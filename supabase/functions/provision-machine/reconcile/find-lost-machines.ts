/**
 * Running and stopped rows whose Fly machine is gone, such as one destroyed in Fly.io's dashboard, or
 * has failed and will not run again.
 */
import { originOf } from "../database/machines.ts";
import type { LiveMachine } from "../database/rows.ts";
import { newestExit } from "../fly/exit-event.ts";
import { type Hosting, machineOfRow } from "../hosting/hosting.ts";
import { findMachineOfRow } from "../hosting/machine-of-row.ts";
import { inParallel } from "../time.ts";
import { forOneItem, type ReconcileContext } from "./context.ts";

const PAGE = 500;
const PARALLEL = 4;
/** Each suspect costs a call to Fly.io; the rest waits for the next run. */
const MAX_SUSPECTS_PER_RUN = 100;

/** `living`: the ids of the machines that Fly.io listed, failed ones apart; the list was complete. */
export async function findLostMachines(
  context: ReconcileContext,
  hosting: Hosting,
  living: ReadonlySet<string>,
): Promise<void> {
  const { ownership, runtime, deadline, report } = context;
  const suspects: LiveMachine[] = [];
  const back: string[] = [];
  for (let after: string | null = null; !deadline.passed();) {
    const page: LiveMachine[] = await hosting.listLive(
      ownership,
      { after, limit: PAGE },
      deadline,
    );
    for (const row of page) {
      if (living.has(row.fly_machine_id)) {
        if (row.missing_since !== null) back.push(row.fly_machine_id);
        // A machine that is being destroyed is expected to go.
      } else if (row.destroy_requested_at === null) suspects.push(row);
    }
    after = page.at(-1)?.id ?? null;
    if (page.length < PAGE) break;
  }
  if (back.length > 0) await ownership.notePresent(back, deadline);
  // With more suspects than one run can check, every run begins somewhere else.
  const start = Math.floor(runtime.random() * suspects.length);
  const turn = suspects.length > MAX_SUSPECTS_PER_RUN
    ? [...suspects.slice(start), ...suspects.slice(0, start)].slice(0, MAX_SUSPECTS_PER_RUN)
    : suspects;
  await inParallel(PARALLEL, turn, async (row) => {
    try {
      await checkSuspect(forOneItem(context), row);
    } catch (error) {
      const ids = { machineId: row.machine_id, flyMachineId: row.fly_machine_id };
      report.fail("a missing machine could not be checked", error, ids);
    }
  });
}

/** A list can miss a machine that lives, so the machine itself is asked for, and asked for twice. */
async function checkSuspect(context: ReconcileContext, row: LiveMachine): Promise<void> {
  const { machines, ownership, deadline, report } = context;
  const ids = { machineId: row.machine_id, flyMachineId: row.fly_machine_id };
  const machine = await findMachineOfRow(context, machineOfRow(row));
  const failed = machine?.state === "failed";
  if (machine !== null && machine.state !== "destroyed" && !failed) {
    if (row.missing_since !== null) await ownership.notePresent([machine.id], deadline);
    return;
  }
  if (!await ownership.noteMissing(row.id, deadline)) {
    const reason = failed ? "it is failed at Fly.io" : "Fly.io does not know it";
    return report.add({ action: "suspected", ...ids, reason });
  }
  const exit = newestExit(machine?.events ?? [])?.description;
  const marked = await machines.markError(
    row.id,
    {
      from: row.status,
      code: failed ? "machine_failed" : "machine_lost",
      message: failed
        ? ["The machine failed at Fly.io", ...(exit ? [exit] : [])].join("; ")
        : "The machine no longer exists at Fly.io",
      flyMachineId: null,
      // A failed one is destroyed; its row is closed first.
      recheckInMs: failed ? 0 : null,
    },
    originOf(context),
    deadline,
  );
  if (marked.outcome !== "applied") return;
  report.add({ action: failed ? "crashed" : "lost", ...ids, ...(exit ? { reason: exit } : {}) });
}
