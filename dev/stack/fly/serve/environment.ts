/** The environment that a Machine's program finds: https://fly.io/docs/machines/runtime-environment/ */
import { z } from "zod";
import type { MachineIdentity } from "../world/machine.ts";

const processesSchema = z.array(z.looseObject({ ignore_app_secrets: z.boolean().optional() }))
  .catch([]);

/**
 * Secrets win over variables of the config with the same name
 * (https://fly.io/docs/reference/configuration/#the-env-variables-section). They go into every Machine
 * of the app unless `processes[].ignore_app_secrets` keeps them out.
 *
 * @param secrets Of the Machine's app.
 */
export function machineEnvironment(
  { id, app, region, instanceId, privateIp, config }: MachineIdentity,
  secrets: Readonly<Record<string, string>>,
): Record<string, string> {
  const processes = processesSchema.parse(config.processes);
  const ignored = processes.some(({ ignore_app_secrets: ignore }) => ignore === true);
  return {
    ...config.env,
    ...(ignored ? {} : secrets),
    FLY_APP_NAME: app,
    FLY_MACHINE_ID: id,
    FLY_ALLOC_ID: id,
    FLY_REGION: region,
    FLY_IMAGE_REF: config.image,
    FLY_MACHINE_VERSION: instanceId,
    FLY_PRIVATE_IP: privateIp,
    FLY_VM_MEMORY_MB: String(config.guest.memory_mb),
  };
}
