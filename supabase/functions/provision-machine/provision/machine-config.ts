/** What Fly.io is asked for: name, region, image, size, environment, services. */
import type { Settings } from "../config/environment.ts";
import type { OwnerTags } from "../fly/identity.ts";
import type { CreateMachineBody } from "../fly/machines.ts";
import { truncate } from "../logging/log-format.ts";
import { REDACTED } from "../logging/redactor.ts";
import type { Runtime } from "../runtime.ts";

export const CPU_PRIORITIES = ["low", "normal", "high"] as const;
export type CpuPriority = (typeof CPU_PRIORITIES)[number];

/** https://fly.io/docs/machines/guides-examples/machine-sizing/ */
export const GUESTS = {
  low: { cpu_kind: "shared", cpus: 1, memory_mb: 256 },
  normal: { cpu_kind: "shared", cpus: 2, memory_mb: 512 },
  high: { cpu_kind: "performance", cpus: 1, memory_mb: 2048 },
} as const;

/** Crockford's base 32: no vowels that spell words, no letters that look like digits. */
const NAME_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const RANDOM_LENGTH = 14;

/**
 * The random part of a new `machine_id`, which is also the Fly machine's name: 70 random bits make
 * it unique; the table's unique constraint would refuse a second one anyway.
 */
export function randomNamePart(runtime: Pick<Runtime, "randomBytes">): string {
  const bytes = runtime.randomBytes(RANDOM_LENGTH);
  return Array.from(bytes, (byte) => NAME_ALPHABET[byte % NAME_ALPHABET.length]).join("");
}

const MAX_NAMES_LOGGED = 10;

export interface MachineConfigInput {
  machineId: string;
  /** Null for a machine that is nobody's yet. */
  userId: string | null;
  region: string;
  cpuPriority: CpuPriority;
  image: string;
  port: number;
  autostop: Settings["MACHINE_AUTOSTOP"];
  extraEnv: Record<string, string>;
  /** Its key for connect tokens; null without `CONNECT_TOKEN_SECRET`. */
  connectKey: string | null;
  tags: OwnerTags;
}

/** The part of a machine's configuration that is the same for all. */
export function configuredPart(
  settings: Settings,
): Pick<MachineConfigInput, "image" | "port" | "autostop" | "extraEnv"> {
  return {
    image: settings.DOCKER_IMAGE,
    port: settings.MACHINE_PORT,
    autostop: settings.MACHINE_AUTOSTOP,
    extraEnv: settings.MACHINE_ENV,
  };
}

export function buildCreateBody(input: MachineConfigInput): CreateMachineBody {
  return {
    name: input.machineId,
    region: input.region,
    config: {
      image: input.image,
      guest: GUESTS[input.cpuPriority],
      env: { ...configuredEnv(input), ...ownEnv(input) },
      services: [{
        protocol: "tcp",
        internal_port: input.port,
        ports: [{ port: 80, handlers: ["http"] }, { port: 443, handlers: ["tls", "http"] }],
        // Sources differ on the defaults, so both are set.
        autostop: input.autostop,
        autostart: input.autostop !== "off",
      }],
      restart: { policy: "on-failure", max_retries: 3 },
      auto_destroy: false,
      metadata: input.tags,
    },
  };
}

/**
 * The body as it may be logged: values of `MACHINE_ENV` may be secrets, whatever the documents say,
 * and there may be more of them than a log event has room for.
 */
export function loggableBody(body: CreateMachineBody, own: MachineConfigInput): CreateMachineBody {
  const names = Object.keys(configuredEnv(own));
  const hidden = names.slice(0, MAX_NAMES_LOGGED).map((name) => [truncate(name, 40), REDACTED]);
  const more = names.length - hidden.length;
  return {
    ...body,
    config: {
      ...body.config,
      env: {
        ...Object.fromEntries(hidden),
        ...(more > 0 ? { "…": `${more} more` } : {}),
        ...ownEnv({ ...own, connectKey: own.connectKey && REDACTED }),
      },
    },
  };
}

/** A key in `MACHINE_ENV` would be the same on every machine, so each user's would open all. */
function configuredEnv({ extraEnv }: MachineConfigInput): Record<string, string> {
  const { CONNECT_KEY: _, ...others } = extraEnv;
  return others;
}

/** Set by the function itself, so `MACHINE_ENV` cannot override them. */
function ownEnv(
  { userId, machineId, cpuPriority, connectKey }: MachineConfigInput,
): Record<string, string> {
  return {
    ...(userId === null ? {} : { USER_ID: userId }),
    MACHINE_ID: machineId,
    CPU_PRIORITY: cpuPriority,
    ...(connectKey === null ? {} : { CONNECT_KEY: connectKey }),
  };
}
