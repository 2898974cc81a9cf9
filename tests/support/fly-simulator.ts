/** What the simulator's own tests share. */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { z } from "zod";
import {
  DEFAULT_TOKEN,
  type FlyFault,
  type FlyFaultRule,
  FlySimulator,
  type FlySimulatorOptions,
  type MachineState,
  seededRandom,
  VirtualClock,
} from "../../dev/stack/fly/mod.ts";

const eventSchema = z.looseObject({
  id: z.string(),
  type: z.string(),
  status: z.string(),
  request: z.looseObject({
    exit_event: z.looseObject({}).catchall(z.unknown()).default({}),
    restart_count: z.number().default(0),
  }).optional(),
});

/** The members of answers that tests read, with defaults for answers without them. */
const bodySchema = z.looseObject({
  error: z.string().default(""),
  status: z.string().default(""),
  id: z.string().default(""),
  name: z.string().default(""),
  state: z.string().default(""),
  region: z.string().default(""),
  instance_id: z.string().default(""),
  previous_state: z.string().default(""),
  events: z.array(eventSchema).default([]),
  config: z.looseObject({ guest: z.unknown() }).default({ guest: undefined }),
});

/** An answer with its body read. */
export interface Reply {
  status: number;
  headers: Headers;
  /** The body as it came; undefined when there was none. */
  json: unknown;
  /** The body as an object, for its members. */
  body: z.infer<typeof bodySchema>;
  /** The body as a list, for its items. */
  items: z.infer<typeof bodySchema>[];
}

/** A call to the API: method and path below the app, e.g. `POST /machines`, or from `/v1/` on. */
export type Send = (call: string, body?: unknown, headers?: HeadersInit) => Promise<Reply>;

export const MACHINE = { name: "machine-1", config: { image: "registry.fly.io/demo:v1" } };

/** A fault for the next create call. */
export function onCreate(effect: FlyFault): FlyFaultRule {
  return { match: { action: "create" }, do: effect };
}

/** Waits for something that another task is about to bring about. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await setImmediate();
}

/** A caller of `/v1/apps/demo…` through any `fetch`. */
export function caller(
  fetch: (request: Request) => Promise<Response>,
  origin = "https://api.machines.dev",
): Send {
  return async (call, body, headers = { authorization: `Bearer ${DEFAULT_TOKEN}` }) => {
    const [method = "", path = ""] = call.split(" ");
    const response = await fetch(
      new Request(`${origin}${path.startsWith("/v1/") ? "" : "/v1/apps/demo"}${path}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    );
    const text = await response.text();
    const json: unknown = text === "" ? undefined : JSON.parse(text);
    return {
      status: response.status,
      headers: response.headers,
      json,
      body: bodySchema.catch(bodySchema.parse({})).parse(json),
      items: z.array(bodySchema).catch([]).parse(json),
    };
  };
}

export interface VirtualSimulator {
  clock: VirtualClock;
  simulator: FlySimulator;
  /** Sends a call; time stands still until the test moves the clock. */
  direct: Send;
  /** Sends a call and lets time pass until it is answered. */
  send: Send;
  /** Creates a Machine and answers its id. */
  create(machine?: Record<string, unknown>): Promise<string>;
  state(idOrName: string): MachineState | undefined;
}

/** A simulator on a virtual clock, with repeatable ids and no rate limits unless asked for. */
export function virtualSimulator(options: FlySimulatorOptions = {}): VirtualSimulator {
  const clock = new VirtualClock();
  const simulator = new FlySimulator({
    clock,
    random: seededRandom(1),
    ...options,
    settings: { rateLimits: null, ...options.settings },
  });
  const direct = caller((request) => simulator.fetch(request));
  const send: Send = (...call) => clock.run(direct(...call));
  const create = async (machine: Record<string, unknown> = MACHINE): Promise<string> => {
    const { status, json, body } = await send("POST /machines", machine);
    assert.equal(status, 200, JSON.stringify(json));
    return body.id;
  };
  const state = (id: string) => simulator.machine(id)?.state;
  return { clock, simulator, direct, send, create, state };
}
