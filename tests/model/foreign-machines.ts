/** Apps and machines at Fly.io that are not this project's and must survive whatever happens. */
import type { FlySimulator } from "../../dev/stack/fly/mod.ts";
import { FLY_APPS, type ModelWorld, ORGANIZATION } from "./model-world.ts";

/** An organisation of other people. */
export const STRANGERS = "strangers";
/** A row id that no row has. */
const NO_ROW = "00000000-0000-4000-9999-000000000000";
/** Looks like a machine of ours, but carries another database's tag. */
const OTHER_INSTALLATION = `${FLY_APPS[0]}-ffffff-00000000000000`;

interface ForeignMachine {
  app: string;
  name: string;
  metadata: Record<string, string>;
}

/** Returns the ids of the machines and the names of the apps, those that machines share included. */
export async function addForeigners(
  simulator: FlySimulator,
  world: ModelWorld,
): Promise<{ machineIds: string[]; apps: string[] }> {
  simulator.addApp("customer-site", ORGANIZATION);
  simulator.addApp(OTHER_INSTALLATION, ORGANIZATION, OTHER_INSTALLATION);
  simulator.addApp("strangers-site", STRANGERS);
  const apps = simulator.world.apps().map(({ name }) => name);

  const { rateLimits } = simulator.settings;
  simulator.configure({ rateLimits: null });
  for (const machine of foreignMachines(new URL(world.database.stack.url).host)) {
    await create(simulator, world.flyToken, machine);
  }
  simulator.configure({ rateLimits });
  simulator.clearRequests();
  return { machineIds: simulator.machines().map(({ id }) => id), apps };
}

function foreignMachines(project: string): ForeignMachine[] {
  const inSharedApps: Record<string, string>[] = [
    {},
    { managed_by: "another-tool", supabase_project: project, cloud_machine_id: NO_ROW },
    {
      managed_by: "provision-machine",
      supabase_project: "other.supabase.co",
      cloud_machine_id: NO_ROW,
    },
    { managed_by: "provision-machine" },
  ];
  const shared = FLY_APPS.flatMap((app) => inSharedApps.map((metadata) => ({ app, metadata })));
  return [
    ...shared.map((machine, index) => ({ ...machine, name: `foreign-${index}` })),
    { app: "customer-site", name: "customer-site", metadata: {} },
    { app: OTHER_INSTALLATION, name: OTHER_INSTALLATION, metadata: inSharedApps[2] ?? {} },
  ];
}

async function create(
  simulator: FlySimulator,
  token: string,
  { app, name, metadata }: ForeignMachine,
): Promise<void> {
  const response = await simulator.fetch(
    new Request(`https://api.machines.dev/v1/apps/${app}/machines`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify({ name, config: { image: "nginx", metadata } }),
    }),
  );
  if (!response.ok) throw new Error(`no foreign machine: ${await response.text()}`);
}
