/** Machines in the same Fly app that are not this project's and must survive whatever happens. */
import type { FlySimulator } from "../../dev/stack/fly/mod.ts";
import { FLY_APPS, type ModelWorld } from "./model-world.ts";

/** A row id that no row has. */
const NO_ROW = "00000000-0000-4000-9999-000000000000";

/** @returns their ids */
export async function addForeignMachines(
  simulator: FlySimulator,
  world: ModelWorld,
): Promise<string[]> {
  const project = new URL(world.database.stack.url).host;
  const metadata: Record<string, string>[] = [
    {},
    { managed_by: "another-tool", supabase_project: project, cloud_machine_id: NO_ROW },
    {
      managed_by: "provision-machine",
      supabase_project: "other.supabase.co",
      cloud_machine_id: NO_ROW,
    },
    { managed_by: "provision-machine" },
  ];
  const { rateLimits } = simulator.settings;
  simulator.configure({ rateLimits: null });
  const wanted = FLY_APPS.flatMap((app) => metadata.map((tags) => ({ app, tags })));
  for (const [index, { app, tags }] of wanted.entries()) {
    const response = await simulator.fetch(
      new Request(
        `https://api.machines.dev/v1/apps/${app}/machines`,
        {
          method: "POST",
          headers: { authorization: `Bearer ${world.flyToken}` },
          body: JSON.stringify({
            name: `foreign-${index}`,
            config: { image: "nginx", metadata: tags },
          }),
        },
      ),
    );
    if (!response.ok) throw new Error(`no foreign machine: ${await response.text()}`);
  }
  simulator.configure({ rateLimits });
  simulator.clearRequests();
  return simulator.machines().map(({ id }) => id);
}
