/** Apps and machines at Fly.io that are not this project's and must survive whatever happens. */
import type { FlySimulator } from "../../dev/stack/fly/mod.ts";
import { type ModelWorld } from "./model-world.ts";
import { FLY_APPS, ORGANIZATION } from "./upstreams.ts";

/** An organisation of other people. */
export const STRANGERS = "strangers";
/** Their own token. */
export const STRANGERS_TOKEN = "strangers-token";
/** A row id that no row has. */
export const NO_ROW = "00000000-0000-4000-9999-000000000000";
/** Looks like a machine of ours, but carries another database's tag. */
const OTHER_INSTALLATION = `${FLY_APPS[0]}-ffffff-00000000000000`;

interface NewMachine {
  app: string;
  name: string;
  config: { env?: Record<string, string>; metadata?: Record<string, string> };
}

/** Ids of machines, and names of apps. */
export interface Foreigners {
  machineIds: string[];
  apps: string[];
}

/** The apps that machines share are among them: those are their operator's. */
export async function addForeigners(
  simulator: FlySimulator,
  world: ModelWorld,
): Promise<Foreigners> {
  simulator.addApp("customer-site", ORGANIZATION);
  simulator.addApp(OTHER_INSTALLATION, ORGANIZATION, OTHER_INSTALLATION);
  simulator.addApp("strangers-site", STRANGERS);
  const apps = simulator.world.apps().map(({ name }) => name);

  const { rateLimits } = simulator.settings;
  simulator.configure({ rateLimits: null });
  for (const machine of foreignMachines(new URL(world.database.stack.url).host)) {
    await createMachine(simulator, world.flyToken, machine);
  }
  simulator.configure({ rateLimits });
  simulator.clearRequests();
  return { machineIds: simulator.machines().map(({ id }) => id), apps };
}

function foreignMachines(project: string): NewMachine[] {
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
  const shared = FLY_APPS.flatMap((app) =>
    inSharedApps.map((metadata) => ({ app, config: { metadata } }))
  );
  return [
    ...shared.map((machine, index) => ({ ...machine, name: `foreign-${index}` })),
    { app: "customer-site", name: "customer-site", config: {} },
    {
      app: OTHER_INSTALLATION,
      name: OTHER_INSTALLATION,
      config: { metadata: inSharedApps[2] ?? {} },
    },
  ];
}

/** Makes a machine as another client of Fly.io would. */
export async function createMachine(
  simulator: FlySimulator,
  token: string,
  { app, name, config }: NewMachine,
): Promise<void> {
  const response = await simulator.fetch(
    new Request(`https://api.machines.dev/v1/apps/${app}/machines`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify({ name, config: { image: "nginx", ...config } }),
    }),
  );
  if (!response.ok) throw new Error(`no machine ${name}: ${await response.text()}`);
}
