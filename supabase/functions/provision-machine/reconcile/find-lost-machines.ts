/** Running rows whose Fly machine is gone: destroyed behind our back, at Fly.io's dashboard say. */
import type { CloudMachine } from "../database/rows.ts";
import { getMachine } from "../fly/machines.ts";
import { originOf } from "./close-due-rows.ts";
import type { ReconcileContext } from "./handle-reconcile.ts";
import { inParallel } from "./in-parallel.ts";
import { makeFlyClient } from "../fly/make-client.ts";

const PAGE = 500;
const PARALLEL = 4;
/** Each suspect costs a call to Fly.io; the rest waits for the next run. */
const MAX_SUSPECTS_PER_RUN = 100;

/** `living`: the ids of the machines that Fly.io listed. */
export async function findLostMachines(
  context: ReconcileContext,
  app: string,
  living: Set<string>,
): Promise<void> {
  const { request, deadline, report } = context;
  const suspects: CloudMachine[] = [];
  for (let after: string | null = null; !deadline.passed();) {
    const page: CloudMachine[] = await request.database.machines.listRunning(
      app,
      after,
      PAGE,
      deadline,
    );
    suspects.push(...page.filter((row) =>
      // A machine that somebody destroys right now is expected to go.
      row.destroy_requested_at === null && !living.has(row.fly_machine_id ?? "")
    ));
    after = page.at(-1)?.id ?? null;
    if (page.length < PAGE || suspects.length >= MAX_SUSPECTS_PER_RUN) break;
  }
  await inParallel(PARALLEL, suspects.slice(0, MAX_SUSPECTS_PER_RUN), async (row) => {
    try {
      await markIfLost(context, app, row);
    } catch (error) {
      const ids = { machineId: row.machine_id, flyMachineId: row.fly_machine_id };
      report.fail("a running machine could not be checked", error, ids);
    }
  });
}

/** The list is older than the row, so the machine itself is asked for before anything is said. */
async function markIfLost(
  context: ReconcileContext,
  app: string,
  row: CloudMachine,
): Promise<void> {
  const { request, settings, deadline, report } = context;
  const fly = makeFlyClient(request.services, settings, request.trace);
  const machine = await getMachine(fly, app, row.fly_machine_id ?? "", { deadline });
  if (machine !== null && machine.state !== "destroyed") return;
  const marked = await request.database.machines.markError(
    row.id,
    {
      from: "running",
      code: "machine_lost",
      message: "The machine no longer exists at Fly.io",
      flyMachineId: null,
      cleanupInMs: null,
    },
    originOf(context),
    deadline,
  );
  if (marked.outcome !== "applied") return;
  report.add({ action: "lost", machineId: row.machine_id, flyMachineId: row.fly_machine_id });
}
