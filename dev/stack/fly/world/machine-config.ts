/** The config of a Machine: what a create call may ask for, and Fly.io's refusals. */
import { z } from "zod";
import { FlyRefusal, invalidArgument, invalidConfig, wrongJsonType } from "../api/errors.ts";

const strings = z.record(z.string(), z.string());

const guestSchema = z.looseObject({
  cpu_kind: z.string().optional(),
  cpus: z.int().optional(),
  memory_mb: z.int().optional(),
});

/** The parts of a Machine's config that the simulator reads; all others are kept as they came. */
const configSchema = z.looseObject({
  image: z.string().optional(),
  size: z.string().optional(),
  guest: guestSchema.optional(),
  env: strings.nullish(),
  metadata: strings.nullish(),
  auto_destroy: z.boolean().optional(),
  restart: z.looseObject({
    policy: z.string().optional(),
    max_retries: z.int().optional(),
  }).optional(),
  services: z.array(z.looseObject({
    protocol: z.string().optional(),
    internal_port: z.int().optional(),
    ports: z.array(z.looseObject({
      port: z.int().optional(),
      handlers: z.array(z.string()).optional(),
    })).optional(),
  })).optional(),
});

const createSchema = z.looseObject({
  name: z.string().nullish(),
  region: z.string().nullish(),
  skip_launch: z.boolean().optional(),
  skip_service_registration: z.boolean().optional(),
  lease_ttl: z.int().optional(),
  /** Of an update alone. */
  current_version: z.string().optional(),
  config: configSchema.optional(),
});

export interface Guest {
  cpu_kind: "shared" | "performance";
  cpus: number;
  memory_mb: number;
  [key: string]: unknown;
}

/** A Machine's config as the API answers it. */
export interface MachineConfig {
  image: string;
  guest: Guest;
  env?: Record<string, string>;
  metadata?: Record<string, string>;
  auto_destroy?: boolean;
  restart: { policy: string; max_retries?: number };
  init: Record<string, unknown>;
  [key: string]: unknown;
}

export interface CreateMachineRequest {
  name: string | undefined;
  region: string | undefined;
  skipLaunch: boolean;
  skipServiceRegistration: boolean;
  /** Seconds; 0 takes no lease. */
  leaseSeconds: number;
  /** The version that an update replaces. */
  currentVersion: string | undefined;
  config: MachineConfig;
}

/**
 * Memory bounds for one CPU, in MiB, and the CPU counts on offer: "Machine Sizing" of Fly.io's
 * documentation, MachinePresets in fly-go, and refusals that public clients recorded.
 */
const CPU_KINDS = {
  shared: { cpus: [1, 2, 4, 6, 8], minMemory: 256, maxMemory: 2048, memoryStep: 256 },
  performance: {
    cpus: [1, 2, 4, 6, 8, 10, 12, 14, 16],
    minMemory: 2048,
    maxMemory: 8192,
    memoryStep: 2048,
  },
} as const;

/** The rule for names is not published; these are the characters that a DNS label or a slug has. */
const MACHINE_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

/**
 * Parses the body of a create call.
 *
 * @param body Parsed JSON of any shape.
 * @throws {FlyRefusal} 400, worded as Fly.io words it where a recorded answer is known.
 */
export function parseCreateRequest(body: unknown): CreateMachineRequest {
  const parsed = createSchema.safeParse(body);
  if (!parsed.success) throw typeError("CreateMachineRequest", body, parsed.error);
  const { name, region, skip_launch: skipLaunch = false, config } = parsed.data;
  if (config === undefined) throw invalidArgument("config is required");
  if (config.image === undefined || config.image.trim() === "") {
    throw invalidArgument("config.image is required");
  }
  if (name && !MACHINE_NAME.test(name)) {
    throw invalidArgument(`invalid machine name '${name}'`);
  }
  const { env, metadata, restart, image, size: _size, init, ...rest } = config;
  return {
    name: name || undefined,
    region: region || undefined,
    skipLaunch,
    skipServiceRegistration: parsed.data.skip_service_registration ?? false,
    leaseSeconds: parsed.data.lease_ttl ?? 0,
    currentVersion: parsed.data.current_version,
    config: {
      ...rest,
      init: isObject(init) ? init : {},
      image,
      guest: parseGuest(config.guest, config.size),
      restart: {
        policy: restart?.policy ?? "on-failure",
        ...(restart?.max_retries === undefined ? {} : { max_retries: restart.max_retries }),
      },
      ...(env ? { env } : {}),
      ...(metadata ? { metadata } : {}),
    } as MachineConfig,
  };
}

function parseGuest(
  guest: z.infer<typeof guestSchema> | undefined,
  size: string | undefined,
): Guest {
  if (guest === undefined) return guestOfSize(size ?? "shared-cpu-1x");
  const kind = guest.cpu_kind;
  if (kind !== "shared" && kind !== "performance") throw invalidConfig("guest.cpu_kind");
  const limits = CPU_KINDS[kind];
  const cpus = guest.cpus ?? 1;
  if (!(limits.cpus as readonly number[]).includes(cpus)) {
    throw invalidConfig(`guest.cpus, must be one of [${limits.cpus.join(" ")}]`);
  }
  const memory = guest.memory_mb ?? cpus * limits.minMemory;
  if (memory < cpus * limits.minMemory) {
    throw invalidConfig(`guest.memory_mb, minimum required ${cpus * limits.minMemory} MiB`);
  }
  if (memory > cpus * limits.maxMemory) {
    throw invalidConfig(`guest.memory_mb, cannot exceed ${cpus * limits.maxMemory} MiB`);
  }
  if (memory % limits.memoryStep !== 0) {
    throw invalidConfig(`guest.memory_mb, must be a multiple of ${limits.memoryStep} MiB`);
  }
  return { ...guest, cpu_kind: kind, cpus, memory_mb: memory };
}

/** The preset sizes: `shared-cpu-1x` … `performance-16x`, each with its least memory. */
function guestOfSize(size: string): Guest {
  const match = /^(?:(shared)-cpu|(performance))-(\d+)x$/.exec(size);
  const kind = match?.[1] ? "shared" : "performance";
  const cpus = Number(match?.[3]);
  if (match === null || !(CPU_KINDS[kind].cpus as readonly number[]).includes(cpus)) {
    throw invalidConfig(`size, '${size}' is not a machine size`);
  }
  return { cpu_kind: kind, cpus, memory_mb: cpus * CPU_KINDS[kind].minMemory };
}

/** Turns zod's first complaint into the message of Go's JSON decoder. */
export function typeError(type: string, body: unknown, error: z.ZodError): FlyRefusal {
  const issue = error.issues[0];
  if (issue === undefined) return invalidArgument("unreadable body");
  let found: unknown = body;
  for (const key of issue.path) {
    found = isObject(found) || Array.isArray(found) ? Reflect.get(found, key) : undefined;
  }
  const kind = found === null ? "null" : Array.isArray(found) ? "array" : typeof found;
  const expected = issue.code === "invalid_type" ? issue.expected : issue.code;
  const field = [type, ...issue.path.map(String)].join(".");
  return issue.path.length === 0
    ? new FlyRefusal(400, `json: cannot unmarshal ${kind} into Go value of type main.${type}`)
    : wrongJsonType(kind === "boolean" ? "bool" : kind, field, goType(expected));
}

function goType(expected: string): string {
  if (expected === "boolean") return "bool";
  if (expected === "record" || expected === "object") return "map[string]interface {}";
  return expected;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
