/** What happens to machines and rows without the function: rewritten metadata, a restored backup. */
import type { FlySimulator } from "../../dev/stack/fly/mod.ts";
import { createMachine, type Foreigners, NO_ROW } from "./foreign-machines.ts";
import { TAG } from "./model-database.ts";
import { type ModelWorld, userId } from "./model-world.ts";
import { FLY_APPS, ORGANIZATION } from "./upstreams.ts";
import type { Schedule } from "./schedule.ts";

/** So many that a list that leaves some out still shows more than reconcile would destroy. */
const WITHOUT_ROW = 20;

/** The metadata of every machine, which each can rewrite without a token from inside its app. */
export function rewriteMetadata({ world }: FlySimulator, { erase }: { erase: boolean }): void {
  const metadata: Record<string, string> = erase ? {} : {
    managed_by: "provision-machine",
    supabase_project: "other.supabase.co",
    cloud_machine_id: NO_ROW,
  };
  for (const machine of world.machines()) machine.setMetadata(world.now(), { ...metadata });
}

/** Machines of ours, started by requests that the restored database knows nothing of. */
export async function addMachinesWithoutRow(
  simulator: FlySimulator,
  world: ModelWorld,
  { settings, seed }: Schedule,
): Promise<Foreigners> {
  const added: Foreigners = { machineIds: [], apps: [] };
  const { rateLimits } = simulator.settings;
  simulator.configure({ rateLimits: null });
  for (let n = 0; n < WITHOUT_ROW; n++) {
    const suffix = `${TAG}-${String(seed).padStart(6, "0")}${
      String(simulator.machines().length).padStart(8, "0")
    }`;
    const name = settings.hosting === "shared" ? `machine-${suffix}` : `${FLY_APPS[0]}-${suffix}`;
    const app = settings.hosting === "shared" ? FLY_APPS[0] : name;
    if (app === name) {
      simulator.addApp(name, ORGANIZATION, name);
      added.apps.push(name);
    }
    const env = { USER_ID: userId(0), MACHINE_ID: name, CPU_PRIORITY: "normal" };
    await createMachine(simulator, world.flyToken, { app, name, config: { env } });
    const { id = "" } = simulator.machine(name) ?? {};
    added.machineIds.push(id);
  }
  simulator.configure({ rateLimits });
  return added;
}
