/** What is asked of Fly.io for a row: name, region, image, size, environment, services. */
import type { CreateMachineBody } from "../fly/machines.ts";
import { cut } from "../logging/format.ts";
import { REDACTED } from "../logging/redactor.ts";

export const CPU_PRIORITIES = ["low", "normal", "high"] as const;
export type CpuPriority = (typeof CPU_PRIORITIES)[number];

/** https://fly.io/docs/machines/guides-examples/machine-sizing/ */
export const GUESTS = {
  low: { cpu_kind: "shared", cpus: 1, memory_mb: 256 },
  normal: { cpu_kind: "shared", cpus: 2, memory_mb: 512 },
  high: { cpu_kind: "performance", cpus: 1, memory_mb: 2048 },
} as const;

/** Marks every machine of this function, of whatever project. */
export const MANAGED_BY = "provision-machine";

/**
 * Metadata that only the machine of one row carries. The project is part of it because several
 * projects may share a Fly app, and none may ever destroy a machine of another.
 */
export function machineIdentity(supabaseUrl: string, rowId: string): Record<string, string> {
  return { ...projectIdentity(supabaseUrl), cloud_machine_id: rowId };
}

/** Metadata that every machine of one Supabase project carries. */
export function projectIdentity(supabaseUrl: string): Record<string, string> {
  return { managed_by: MANAGED_BY, supabase_project: new URL(supabaseUrl).host };
}

const MAX_NAMES_LOGGED = 10;

export interface MachineConfigInput {
  machineId: string;
  userId: string;
  region: string;
  cpuPriority: CpuPriority;
  image: string;
  port: number;
  extraEnv: Record<string, string>;
  identity: Record<string, string>;
}

export function buildCreateBody(input: MachineConfigInput): CreateMachineBody {
  return {
    name: input.machineId,
    region: input.region,
    config: {
      image: input.image,
      guest: GUESTS[input.cpuPriority],
      env: { ...input.extraEnv, ...ownEnv(input) },
      services: [{
        protocol: "tcp",
        internal_port: input.port,
        ports: [{ port: 80, handlers: ["http"] }, { port: 443, handlers: ["tls", "http"] }],
      }],
      restart: { policy: "on-failure", max_retries: 3 },
      auto_destroy: false,
      metadata: input.identity,
    },
  };
}

/**
 * The body as it may be logged: values of `MACHINE_ENV` may be secrets, whatever the README says,
 * and there may be more of them than a log event has room for.
 */
export function loggableBody(body: CreateMachineBody, own: MachineConfigInput): CreateMachineBody {
  const names = Object.keys(own.extraEnv);
  const hidden = names.slice(0, MAX_NAMES_LOGGED).map((name) => [cut(name, 40), REDACTED]);
  const more = names.length - hidden.length;
  return {
    ...body,
    config: {
      ...body.config,
      env: {
        ...Object.fromEntries(hidden),
        ...(more > 0 ? { "…": `${more} more` } : {}),
        ...ownEnv(own),
      },
    },
  };
}

/** Set by the function itself, so `MACHINE_ENV` cannot override them. */
function ownEnv({ userId, machineId, cpuPriority }: MachineConfigInput): Record<string, string> {
  return { USER_ID: userId, MACHINE_ID: machineId, CPU_PRIORITY: cpuPriority };
}
