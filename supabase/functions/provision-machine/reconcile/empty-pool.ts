/**
 * Discards what the warm pool must not have any more, and destroys what was discarded or was not ready
 * in time.
 */
import type { Environment } from "../config/environment.ts";
import { destroyMachineOfRow } from "../hosting/machine-of-row.ts";
import { organizationOf } from "../hosting/whose-app.ts";
import { poolSizeOf } from "../provision/pool-config.ts";
import { inParallel } from "../time.ts";
import { forOneItem, type ReconcileContext } from "./context.ts";
import { reportDiscarded } from "./follow-pool.ts";

/** Fly.io deletes 100 apps a minute. */
const MAX_PER_RUN = 80;
const PARALLEL = 10;
/** About the interval between runs: what fails is tried again by the next. */
const LEASE_MS = 50_000;

export async function emptyPool(
  environment: Environment,
  context: ReconcileContext,
): Promise<void> {
  const { pool, runtime, deadline, report } = context;
  // With a setting that is malformed it is not known what a machine is to be made with.
  const size = environment.complete
    ? await poolSizeOf(environment.settings, runtime)
    : { configHash: null, size: 0, maxMachines: 0 };
  const taking = { limit: MAX_PER_RUN, leaseMs: LEASE_MS };
  const { discarded, due } = await pool.settle(size, taking, deadline);
  reportDiscarded(context, discarded);
  await inParallel(PARALLEL, due, async (entry) => {
    const { machine_id: name, fly_app_name: app, fly_machine_id: flyMachineId } = entry;
    try {
      const machine = { app, name, organization: organizationOf(entry), flyMachineId };
      const gone = await destroyMachineOfRow(forOneItem(context), machine);
      await pool.finish(entry.id, gone, deadline);
      report.add({ action: "poolDestroyed", machineId: name, flyMachineId });
    } catch (error) {
      const what = "a machine of the warm pool could not be destroyed";
      report.fail(what, error, { machineId: name, flyMachineId });
    }
  });
}
