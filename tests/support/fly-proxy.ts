/** Fly Proxy in front of a simulator on a virtual clock, and clients that connect through it. */
import { once } from "node:events";
import { z } from "zod";
import {
  allocateAddress,
  DEFAULT_TOKEN,
  type FlyProxyOptions,
  type FlySimulatorOptions,
  type ServedFlyProxy,
  serveFlyProxy,
} from "../../dev/stack/fly/mod.ts";
import { sightSchema } from "../../dev/stack/fly/serve/programs/hostile.ts";
import { type VirtualSimulator, virtualSimulator } from "./fly-simulator.ts";

/** A service as provision-machine asks for it: 80 and 443 in front of 8080. */
export const WEB = {
  protocol: "tcp",
  internal_port: 8080,
  ports: [{ port: 80, handlers: ["http"] }, { port: 443, handlers: ["tls", "http"] }],
};
/** An image that answers any request with what it received. */
export const HOSTILE_IMAGE = "registry.fly.io/demo:hostile";
/** How far the clock moves at a time while a request is under way. */
const STEP_MS = 250;

export interface ProxyWorld extends VirtualSimulator, AsyncDisposable {
  proxy: ServedFlyProxy;
  /** Adds a Machine with the hostile image to an app and answers its id. */
  machine(options?: MachineOptions): Promise<string>;
  /** Sends a plain request through the proxy while time passes. */
  request(app: string, path?: string, init?: RequestInit): Promise<Passed>;
}

export interface MachineOptions {
  app?: string;
  name?: string;
  region?: string;
  image?: string;
  env?: Record<string, string>;
  /** Over {@link WEB}. */
  service?: Record<string, unknown>;
  config?: Record<string, unknown>;
}

/** What came back; `seen` is what the hostile image saw. */
export interface Passed {
  status: number;
  headers: Headers;
  text: string;
  seen: z.infer<typeof sightSchema> | null;
}

/** A proxy to apps that have had their addresses for a long time, unless a test changes that. */
export async function proxyWorld(
  { simulator: simulatorOptions, ...options }: FlyProxyOptions & {
    simulator?: FlySimulatorOptions;
  } = {},
): Promise<ProxyWorld> {
  const virtual = virtualSimulator(simulatorOptions);
  const { clock, simulator } = virtual;
  const proxy = await serveFlyProxy(simulator, {
    inProcess: true,
    ...options,
    settings: { unknownAfterStartMs: 0, ...options.settings },
  });
  let names = 0;
  return {
    ...virtual,
    proxy,
    async machine({ app = "demo", service, config, env, ...machine } = {}) {
      const url = `https://api.machines.dev/v1/apps/${app}/machines`;
      const response = await clock.run(simulator.fetch(
        new Request(url, {
          method: "POST",
          headers: { authorization: `Bearer ${DEFAULT_TOKEN}` },
          body: JSON.stringify({
            name: machine.name ?? `machine-${++names}`,
            region: machine.region ?? "iad",
            config: {
              image: machine.image ?? HOSTILE_IMAGE,
              services: [{ ...WEB, ...service }],
              ...(env && { env }),
              ...config,
            },
          }),
        }),
      ));
      const answer = z.looseObject({ id: z.string() }).parse(await response.json());
      await clock.advance(300);
      return answer.id;
    },
    async request(app, path = "/", init) {
      const response = await whileTimePasses(clock, fetch(`${proxy.address(app)}${path}`, init));
      const text = await response.text();
      const seen = /^\{"hostile"/.test(text) ? sightSchema.parse(JSON.parse(text)) : null;
      return { status: response.status, headers: response.headers, text, seen };
    },
    async [Symbol.asyncDispose]() {
      await proxy.shutdown();
    },
  };
}

/** Gives an app its addresses, long enough ago for its name to resolve. */
export async function publish({ simulator, clock }: ProxyWorld, ...apps: string[]): Promise<void> {
  for (const app of apps) allocateAddress(simulator.world, app, "v6");
  await clock.advance(60_000);
}

/** What a machine of the hostile image is to answer. */
export interface Scripted {
  status?: number;
  headers?: Record<string, string>;
  body?: string;
}

/** The query that makes machines of the hostile image answer so, by their ids. */
export function answering(answers: Record<string, Scripted>): string {
  return `answers=${encodeURIComponent(JSON.stringify(answers))}`;
}

/** Moves the clock in steps until real work settles. */
export async function whileTimePasses<T>(
  clock: VirtualSimulator["clock"],
  work: Promise<T>,
): Promise<T> {
  let settled = false;
  const done = () => {
    settled = true;
  };
  work.then(done, done);
  while (true) {
    // Real connections take real time: the clock moves only when nothing has happened for a moment.
    for (let turn = 0; turn < 20 && !settled; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    if (settled) return await work;
    await clock.advance(STEP_MS);
  }
}

/** A WebSocket through the proxy: what it received, and how it was closed. */
export class ProxyClient {
  readonly received: unknown[] = [];
  readonly closed: Promise<CloseEvent>;
  readonly #socket: WebSocket;
  readonly #failed: Promise<Event>;

  constructor(url: string) {
    this.#socket = new WebSocket(url);
    this.#failed = once(this.#socket, "error").then(([event]) => event);
    this.closed = new Promise((resolve) => this.#socket.addEventListener("close", resolve));
    this.#socket.addEventListener("message", ({ data }) => this.received.push(JSON.parse(data)));
  }

  /** Resolves with the next message that was not asked for yet, or null when it is closed first. */
  async next(): Promise<unknown> {
    if (this.received.length === 0) {
      await Promise.race([once(this.#socket, "message"), this.closed]);
    }
    return this.received.shift() ?? null;
  }

  send(data: string): void {
    this.#socket.send(data);
  }

  /** Why it did not open. */
  async refusal(): Promise<string> {
    const event = await this.#failed;
    return event instanceof ErrorEvent ? event.message : "";
  }

  async close(): Promise<void> {
    this.#socket.close();
    await this.closed;
  }
}
