/** Running rows whose Fly machine is gone, such as one destroyed in Fly.io's dashboard. */
import { originOf } from "../database/machines.ts";
import type { RunningMachine } from "../database/rows.ts";
import { getMachine } from "../fly/machines.ts";
import { inParallel } from "../time.ts";
import type { ReconcileContext } from "./context.ts";

const PAGE = 500;
const PARALLEL = 4;
/** Each suspect costs a call to Fly.io; the rest waits for the next run. */
const MAX_SUSPECTS_PER_RUN = 100;

/** `living`: the ids of the machines that Fly.io listed. */
export async function findLostMachines(
  context: ReconcileContext,
  app: string,
  living: ReadonlySet<string>,
): Promise<void> {
  const { machines, deadline, report } = context;
  const suspects: RunningMachine[] = [];
  for (let after: string | null = null; !deadline.passed();) {
    const page: RunningMachine[] = await machines.listRunning(
      { app, after, limit: PAGE },
      deadline,
    );
    suspects.push(...page.filter((row) =>
      // A machine that is being destroyed is expected to go.
      row.destroy_requested_at === null && !living.has(row.fly_machine_id)
    ));
    after = page.at(-1)?.id ?? null;
    if (page.length < PAGE || suspects.length >= MAX_SUSPECTS_PER_RUN) break;
  }
  await inParallel(PARALLEL, suspects.slice(0, MAX_SUSPECTS_PER_RUN), async (row) => {
    try {
      await markIfLost(context, row);
    } catch (error) {
      const ids = { machineId: row.machine_id, flyMachineId: row.fly_machine_id };
      report.fail("a running machine could not be checked", error, ids);
    }
  });
}

/** The list is older than the row, so the machine itself is asked for before its row is closed. */
async function markIfLost(context: ReconcileContext, row: RunningMachine): Promise<void> {
  const { machines, fly, deadline, report } = context;
  const machine = await getMachine(fly, row.fly_app_name, row.fly_machine_id, { deadline });
  if (machine !== null && machine.state !== "destroyed") return;
  const marked = await machines.markError(
    row.id,
    {
      from: "running",
      code: "machine_lost",
      message: "The machine no longer exists at Fly.io",
      flyMachineId: null,
      recheckInMs: null,
    },
    originOf(context),
    deadline,
  );
  if (marked.outcome !== "applied") return;
  report.add({ action: "lost", machineId: row.machine_id, flyMachineId: row.fly_machine_id });
}
