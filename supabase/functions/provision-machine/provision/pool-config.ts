/** What the pool's machines are made with, and which requests they fit. */
import type { Settings } from "../config/environment.ts";
import { connectKeyOf } from "../connect/token.ts";
import type { PooledMachine, PoolSize } from "../database/pool.ts";
import { ownerTags } from "../fly/identity.ts";
import type { CreateMachineBody } from "../fly/machines.ts";
import { chooseHosting } from "../hosting/choose-hosting.ts";
import type { Runtime } from "../runtime.ts";
import { buildCreateBody, configuredPart, type CpuPriority } from "./machine-config.ts";

const CPU_PRIORITY: CpuPriority = "normal";

/** Whether a machine of the pool is what the request asks for. */
export function fitsPool(
  { POOL_SIZE, FLY_REGION }: Settings,
  wanted: { region: string; cpuPriority: CpuPriority },
): boolean {
  return POOL_SIZE > 0 && wanted.region === FLY_REGION && wanted.cpuPriority === CPU_PRIORITY;
}

/**
 * A hash of everything that a machine of the pool is made with, so that no claim takes one that was
 * made with other settings. Keyed with the secret that its `CONNECT_KEY` is derived from: with
 * another secret it is another machine.
 */
export async function poolConfigHash(
  settings: Settings,
  runtime: Pick<Runtime, "hmacSha256">,
): Promise<string> {
  const { claim, addressTemplate, addressNote } = chooseHosting(settings);
  const made = [
    settings.POOL_STATE,
    claim,
    addressTemplate,
    addressNote,
    bodyFor(settings, { name: "", id: "", connectKey: null }),
  ];
  const { CONNECT_TOKEN_SECRET: secret = "none" } = settings;
  const digest = await runtime.hmacSha256(secret, JSON.stringify(made));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** How large the pool is to be. Without one no machine fits, so its hash is empty. */
export async function poolSizeOf(
  settings: Settings,
  runtime: Pick<Runtime, "hmacSha256">,
): Promise<PoolSize & { configHash: string }> {
  const { POOL_SIZE: size, MAX_MACHINES: maxMachines } = settings;
  return { configHash: size > 0 ? await poolConfigHash(settings, runtime) : "", size, maxMachines };
}

/** The create of an entry's machine, and the key in it. */
export async function pooledCreateBody(
  settings: Settings,
  runtime: Pick<Runtime, "hmacSha256">,
  { id, machine_id: name }: Pick<PooledMachine, "id" | "machine_id">,
): Promise<{ body: CreateMachineBody; connectKey: string | null }> {
  const { CONNECT_TOKEN_SECRET: secret } = settings;
  const connectKey = secret === undefined
    ? null
    : await connectKeyOf(runtime, { secret, machineId: name });
  return { body: bodyFor(settings, { name, id, connectKey }), connectKey };
}

function bodyFor(
  settings: Settings,
  { name, id, connectKey }: { name: string; id: string; connectKey: string | null },
): CreateMachineBody {
  const body = buildCreateBody({
    ...configuredPart(settings),
    machineId: name,
    userId: null,
    region: settings.FLY_REGION,
    cpuPriority: CPU_PRIORITY,
    connectKey,
    tags: ownerTags(settings.SUPABASE_URL, id),
  });
  return settings.POOL_STATE === "stopped" ? { ...body, skip_launch: true } : body;
}
