/**
 * The calls of the Fly Machines API that this function makes, one each: no retries, no policy.
 * https://fly.io/docs/machines/api/machines-resource/
 */
import { z } from "zod/v3";
import type { Deadline } from "../time.ts";
import type { FlyClient, FlyResponse } from "./client.ts";
import { FlyError } from "./errors.ts";

/** Fly.io refuses a wait of more than 60 s with 400 `invalid_argument`. */
export const MAX_WAIT_SECONDS = 60;

/** The part of a Fly machine that this function looks at. */
export const FlyMachine = z.object({
  // Both stand in rows and answers: whatever has another shape is no answer.
  id: z.string().regex(/^[0-9a-z][0-9a-z-]{0,35}$/),
  name: z.string(),
  state: z.string(),
  /** The version of its configuration, which a wait for `stopped` has to name. */
  instance_id: z.string().nullish(),
  region: z.string().regex(/^[a-z]{3}$/),
  created_at: z.string().nullish(),
  config: z.object({ env: z.record(z.string(), z.string()).nullish() }).nullish(),
  /** Newest first. Only reported, never decided upon, so any shape will do. */
  events: z.array(z.unknown()).nullish(),
});
export type FlyMachine = z.output<typeof FlyMachine>;

const Ok = z.object({ ok: z.boolean().optional() });

/** The body of a create. https://docs.machines.dev/#model/createmachinerequest */
export interface CreateMachineBody {
  name: string;
  region: string;
  /** The machine is made ready and stays stopped. */
  skip_launch?: boolean;
  config: {
    image: string;
    guest: { cpu_kind: "shared" | "performance"; cpus: number; memory_mb: number };
    env: Record<string, string>;
    services: {
      protocol: "tcp";
      internal_port: number;
      ports: { port: number; handlers: string[] }[];
      autostop: "off" | "stop" | "suspend";
      autostart: boolean;
    }[];
    restart: { policy: "on-failure"; max_retries: number };
    auto_destroy: boolean;
    metadata: Record<string, string>;
  };
}

export interface CallOptions {
  deadline: Deadline;
  signal?: AbortSignal;
}

export function createMachine(
  fly: FlyClient,
  app: string,
  body: CreateMachineBody,
  options: CallOptions,
): Promise<FlyResponse<FlyMachine>> {
  const path = `/apps/${encodeURIComponent(app)}/machines`;
  return fly.request({ method: "POST", path, body, schema: FlyMachine, ...options });
}

/** What a list says. What is not on it need not be gone: see {@link MachineList.complete}. */
export interface MachineList {
  machines: FlyMachine[];
  /** False when an element could not be read, so that the list proves nothing about what it lacks. */
  complete: boolean;
}

/** All machines of an app, ours or not. Their config and events are left out. */
export async function listMachines(
  fly: FlyClient,
  app: string,
  options: CallOptions,
): Promise<MachineList> {
  const { data } = await fly.request({
    method: "GET",
    path: `/apps/${encodeURIComponent(app)}/machines`,
    query: { summary: "true" },
    schema: z.array(z.unknown()),
    ...options,
  });
  // One by one: a single odd machine must not hide all others.
  const machines = data.flatMap((element) => {
    const parsed = FlyMachine.safeParse(element);
    return parsed.success ? [parsed.data] : [];
  });
  return { machines, complete: machines.length === data.length };
}

/** The machine of an app with this name, which is unique in it, or undefined. */
export async function findMachineByName(
  fly: FlyClient,
  { app, name }: { app: string; name: string },
  options: CallOptions,
): Promise<FlyMachine | undefined> {
  const { machines } = await listMachines(fly, app, options);
  return machines.find((machine) => machine.name === name && machine.state !== "destroyed");
}

/** The machine, or null when Fly.io does not know it (any more). */
export async function getMachine(
  fly: FlyClient,
  app: string,
  id: string,
  options: CallOptions,
): Promise<FlyMachine | null> {
  const path = machinePath(app, id);
  return await nullIfNotFound(fly.request({ method: "GET", path, schema: FlyMachine, ...options }));
}

/** A wait of Fly.io's API. */
export interface Wait {
  app: string;
  id: string;
  state: "started" | "stopped" | "suspended";
  /** `instance_id` of the machine; without it a wait for `stopped` is refused. */
  version?: string;
  /** 1 to 60. */
  timeoutSeconds: number;
}

/**
 * Blocks until the machine is in the state. Returns false when the time ran out, which is normal with
 * a large image. Throws {@link FlyError} for everything else.
 */
export async function waitForState(
  fly: FlyClient,
  { app, id, state, version, timeoutSeconds }: Wait,
  options: CallOptions,
): Promise<boolean> {
  try {
    await fly.request({
      method: "GET",
      path: `${machinePath(app, id)}/wait`,
      query: {
        state,
        timeout: String(timeoutSeconds),
        ...(version === undefined ? {} : { version }),
      },
      schema: Ok,
      extraTimeoutMs: timeoutSeconds * 1_000,
      ...options,
    });
    return true;
  } catch (error) {
    if (error instanceof FlyError && error.status === 408) return false;
    throw error;
  }
}

/** Asks for the machine to start, stop or suspend; it does so after the answer. */
export async function changeMachine(
  fly: FlyClient,
  { app, id, change }: { app: string; id: string; change: "start" | "stop" | "suspend" },
  options: CallOptions,
): Promise<void> {
  // With a body, which stop takes only as an object: superfly/docs#2187.
  const path = `${machinePath(app, id)}/${change}`;
  await fly.request({ method: "POST", path, body: {}, schema: z.unknown(), ...options });
}

/** Destroys the machine in any state. Also resolves when it is already gone. */
export async function destroyMachine(
  fly: FlyClient,
  app: string,
  id: string,
  options: CallOptions,
): Promise<void> {
  await nullIfNotFound(fly.request({
    method: "DELETE",
    path: machinePath(app, id),
    query: { force: "true" },
    schema: Ok,
    ...options,
  }));
}

function machinePath(app: string, id: string): string {
  return `/apps/${encodeURIComponent(app)}/machines/${encodeURIComponent(id)}`;
}

/** Whether Fly.io says that the machine does not exist, and not that its app is missing. */
export function isMachineGone(error: unknown): boolean {
  return error instanceof FlyError && error.status === 404 && !/\bapp\b/i.test(error.body ?? "");
}

async function nullIfNotFound<T>(call: Promise<FlyResponse<T>>): Promise<T | null> {
  try {
    return (await call).data;
  } catch (error) {
    if (isMachineGone(error)) return null;
    throw error;
  }
}
