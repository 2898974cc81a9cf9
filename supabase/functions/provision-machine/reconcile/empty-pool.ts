/**
 * Discards what the warm pool must not have any more, and destroys what was discarded or was not ready
 * in time.
 */
import type { Environment } from "../config/environment.ts";
import type { PoolSize } from "../database/pool.ts";
import { destroyMachineOfRow } from "../hosting/machine-of-row.ts";
import { organizationOf } from "../hosting/whose-app.ts";
import { poolConfigHash } from "../provision/pool-config.ts";
import type { Runtime } from "../runtime.ts";
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
  const size = await poolSize(environment, runtime);
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

/** With a setting that is malformed nobody knows what a machine is to be made with. */
async function poolSize(
  { complete, settings }: Environment,
  runtime: Pick<Runtime, "hmacSha256">,
): Promise<PoolSize> {
  if (!complete) return { configHash: null, size: 0, maxMachines: 0 };
  const { POOL_SIZE: size, MAX_MACHINES: maxMachines } = settings;
  return { configHash: size > 0 ? await poolConfigHash(settings, runtime) : "", size, maxMachines };
}
