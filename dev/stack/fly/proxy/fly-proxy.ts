/** Fly Proxy on 127.0.0.1, in front of the programs of the simulator's Machines. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { FlySimulator } from "../control/simulator.ts";
import { endProcess } from "../world/exits.ts";
import { requestId as newRequestId } from "../world/identifiers.ts";
import { MachineRunner } from "../serve/machine-runner.ts";
import { autostopPass, startAutostop } from "./autostop.ts";
import { type Client, plainClient, upgradeClient } from "./client.ts";
import { Connections } from "./connections.ts";
import { logError, type ProxyContext } from "./context.ts";
import { passOn } from "./exchange.ts";
import { requestHeaders } from "./headers.ts";
import { destinationOf, Names } from "./names.ts";
import { allocateAddress } from "./flyctl.ts";
import { ProxyError, type ProxyLogEntry } from "./proxy-error.ts";
import { ReplayCache } from "./replay-cache.ts";
import { serviceAt } from "./services.ts";
import { DEFAULT_PROXY_SETTINGS, type ProxySettings } from "./settings.ts";
import { Sightings } from "./sightings.ts";
import { cachedTarget, firstTarget } from "./target.ts";
import { Wakes } from "./wakes.ts";

/** How long a client may take to close its end once its machine has closed the other. */
const DRAIN_MS = 1_000;

export interface FlyProxyOptions {
  /** 0, the default, takes any free port. */
  port?: number;
  settings?: Partial<ProxySettings>;
  /** Apps that get a shared IPv4 and an IPv6 address at once. */
  publicApps?: readonly string[];
  /** Run the example image inside this process, for hundreds of Machines; off by default. */
  inProcess?: boolean;
  /** Takes each line that a Machine's process writes, with the Machine's name. */
  onLine?: (machine: string, line: string) => void;
}

export interface ServedFlyProxy {
  /** `http://127.0.0.1:PORT`. */
  url: string;
  port: number;
  /** What apps' logs say of requests that were not passed on, oldest first. */
  log: ProxyLogEntry[];
  /** The address of an app: `{url}/host/{app}.fly.dev`. */
  address(app: string): string;
  /** For WEBSOCKET_URL_TEMPLATE: what `wss://{app}.fly.dev/machines/{machineId}` is outside. */
  websocketUrlTemplate: string;
  /** How many connections to a Machine are open. */
  load(machineId: string): number;
  /** One pass of the autostop loop, which also runs on its own. */
  autostopPass(): void;
  /** Stops every Machine's program, closes every connection and frees the port. */
  shutdown(): Promise<void>;
}

/**
 * Serves the simulator's apps. README.md says how a request names its host.
 *
 * @throws when the port is taken.
 */
export async function serveFlyProxy(
  simulator: FlySimulator,
  options: FlyProxyOptions = {},
): Promise<ServedFlyProxy> {
  const closing = new AbortController();
  const context = createContext(simulator, options, closing.signal);
  for (const app of options.publicApps ?? []) {
    for (const type of ["shared_v4", "v6"] as const) {
      allocateAddress(context.world, app, type);
    }
  }
  const open = new Set<Promise<void>>();
  const take = (client: Client) => {
    const handled = handle(context, client);
    open.add(handled);
    handled.finally(() => open.delete(handled));
  };
  const server = createServer((incoming: IncomingMessage, response: ServerResponse) =>
    take(plainClient(incoming, response))
  );
  server.on(
    "upgrade",
    (incoming: IncomingMessage, socket: Duplex, head: Uint8Array) =>
      take(upgradeClient(incoming, socket, head)),
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
  const autostop = startAutostop(context, closing.signal);
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    log: context.log,
    address: (app) => `http://127.0.0.1:${port}/host/${app}.fly.dev`,
    websocketUrlTemplate: `ws://127.0.0.1:${port}/host/{app}.fly.dev/machines/{machineId}`,
    load: (machineId) => context.connections.load(machineId),
    autostopPass: () => autostopPass(context),
    async shutdown() {
      closing.abort(new Error("the proxy shuts down"));
      // First, so that the machines' own close frames still pass.
      await context.runner.close();
      await drain(context.connections);
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      await Promise.allSettled([...open]);
      server.closeAllConnections();
      await Promise.all([closed, autostop]);
    },
  };
}

function createContext(
  { world }: FlySimulator,
  { settings: given, inProcess = false, onLine = () => {} }: FlyProxyOptions,
  closing: AbortSignal,
): ProxyContext {
  const all = { ...DEFAULT_PROXY_SETTINGS, ...given };
  const settings = () => all;
  const connections = new Connections();
  const sightings = new Sightings(world, settings);
  return {
    world,
    settings,
    connections,
    sightings,
    names: new Names(world, settings),
    wakes: new Wakes(world, sightings, settings, closing),
    log: [],
    replayCache: new ReplayCache(),
    runner: new MachineRunner({
      world,
      inProcess,
      onLine,
      secrets: (app) => world.secrets.of(world.app(app)?.id ?? ""),
      losesSnapshot: () => world.random() < all.snapshotLossProbability,
      onExit: (machine, exitCode) => endProcess(world, machine, { exitCode }),
      onCut: ({ identity }) => connections.cut(identity.id),
    }),
  };
}

/** Lets connections end whose machines are gone, and breaks off what is left. */
async function drain(connections: Connections): Promise<void> {
  const tooLate = new AbortController();
  const timer = setTimeout(() => tooLate.abort(), DRAIN_MS);
  while (connections.size > 0 && !tooLate.signal.aborted) await connections.nextEnd(tooLate.signal);
  clearTimeout(timer);
  connections.cutAll();
}

/** Answers one request. Never rejects for what Fly Proxy would answer. */
async function handle(context: ProxyContext, client: Client): Promise<void> {
  const { world, settings, names } = context;
  const { edgeRegion, maxReplayBodyBytes } = settings();
  const requestId = newRequestId(world.now(), world.random, edgeRegion);
  const destination = destinationOf(client.url, client.headers.host);
  const app = destination && names.lookUp(destination.app);
  // Outside the client would have found no address to connect to.
  if (destination === null || app === null) return client.hangUp();
  const { port, host, path } = destination;
  const entry = context.world.machines(app.name).map(({ identity }) =>
    serviceAt(identity.config, port)?.entry
  ).find((found) => found !== undefined);
  // Nothing listens there. Services without the http handler pass raw TCP, which is not modelled.
  if (entry === undefined || !entry.handlers.includes("http")) return client.hangUp();
  const secure = entry.handlers.includes("tls");
  // To the client, 443 means TLS.
  if (port === 443 && !secure) return client.hangUp();
  if (!secure && entry.force_https) {
    return client.refuse(301, requestId, { location: `https://${host}${path}` });
  }
  try {
    const arrival = { clientIp: client.ip, port, host, secure, requestId };
    const headers = requestHeaders(client.headers, arrival, settings());
    const body = await client.readBody(maxReplayBodyBytes);
    const place = { host, path };
    const cached = context.replayCache.find(place, client.headers, world.now());
    const first = cached
      ? cachedTarget(context, port, cached.replay, cached.source)
      : firstTarget(app, port, client.headers);
    await passOn({ context, client, requestId, place, headers, body }, first);
  } catch (error) {
    if (client.left.aborted) return;
    if (!(error instanceof ProxyError)) return failed(client, requestId, error);
    logError(context, app, error);
    if (error.answer === "closed") client.hangUp();
    else client.refuse(error.answer, requestId);
  }
}

/** A fault of the simulator itself must not pass for one of Fly.io's. */
function failed(client: Client, requestId: string, error: unknown): void {
  const text = error instanceof Error ? error.message : String(error);
  client.refuse(599, requestId, { "x-simulator-error": encodeURIComponent(text) });
}
