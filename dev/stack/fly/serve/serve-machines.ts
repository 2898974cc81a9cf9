/** Serves the addresses of the Machines themselves. */
import type { FlySimulator } from "../control/simulator.ts";
import type { Machine } from "../world/machine.ts";
import type { ServeOptions } from "./serve-api.ts";
import { sleepUntilChange } from "../api/wait.ts";

export interface ServedMachines {
  /** `http://127.0.0.1:PORT`. */
  url: string;
  port: number;
  /** The value for WEBSOCKET_URL_TEMPLATE: `ws://127.0.0.1:PORT/machines/{machineId}`. */
  websocketUrlTemplate: string;
  /** Closes every socket and frees the port. */
  shutdown(): Promise<void>;
}

/**
 * Serves the Machines' own addresses on 127.0.0.1: a WebSocket at `/machines/{name}`, where a started
 * Machine answers. It greets with its name, region and image, sends each message back as
 * `{"echo": …}`, and closes when the Machine stops. A name that no Machine has is 404; a Machine that is
 * not started is 503, as from Fly Proxy when it finds no instance to send the request to.
 */
export function serveMachines(
  simulator: FlySimulator,
  { port = 0 }: Pick<ServeOptions, "port"> = {},
): ServedMachines {
  const closing = new AbortController();
  const open = new Set<Promise<void>>();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port, onListen: () => {} },
    (request) => {
      const { world } = simulator;
      // Names hold no character that a URL would escape.
      const name = /^\/machines\/([^/]+)$/.exec(new URL(request.url).pathname)?.[1];
      const machine = name === undefined ? undefined : world.findMachine(name);
      const now = world.now();
      if (machine === undefined || machine.state(now) === "destroyed") {
        return new Response("no such machine\n", { status: 404 });
      }
      if (machine.state(now) !== "started") {
        return new Response("the machine is not started\n", { status: 503 });
      }
      if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
        return new Response("a WebSocket is expected\n", {
          status: 426,
          headers: { upgrade: "websocket", connection: "upgrade" },
        });
      }
      const { socket, response } = Deno.upgradeWebSocket(request);
      const conversation = converse(simulator, machine, socket, closing.signal);
      open.add(conversation);
      conversation.finally(() => open.delete(conversation));
      return response;
    },
  );
  const url = `http://127.0.0.1:${server.addr.port}`;
  return {
    url,
    port: server.addr.port,
    websocketUrlTemplate: `ws://127.0.0.1:${server.addr.port}/machines/{machineId}`,
    async shutdown() {
      closing.abort();
      await Promise.all([...open]);
      await server.shutdown();
    },
  };
}

/** Talks until the Machine is no longer started, the other side closes, or the server shuts down. */
async function converse(
  simulator: FlySimulator,
  machine: Machine,
  socket: WebSocket,
  closing: AbortSignal,
): Promise<void> {
  const { world } = simulator;
  const { name, region, config } = machine.identity;
  const gone = new AbortController();
  const closed = new Promise<void>((resolve) => {
    socket.onclose = () => {
      gone.abort();
      resolve();
    };
  });
  socket.onopen = () => {
    socket.send(JSON.stringify({ machine: name, region, image: config.image }));
  };
  socket.onmessage = ({ data }) => socket.send(JSON.stringify({ echo: data }));
  const ended = AbortSignal.any([gone.signal, closing]);
  while (!ended.aborted && machine.state(world.now()) === "started") {
    const next = machine.scheduled(world.now())[0]?.at;
    await pause(simulator, machine, next, ended);
  }
  if (!gone.signal.aborted) socket.close(1001, closing.aborted ? "shutdown" : "machine stopped");
  await closed;
}

async function pause(
  simulator: FlySimulator,
  machine: Machine,
  nextMs: number | undefined,
  ended: AbortSignal,
): Promise<void> {
  const { clock } = simulator.world;
  try {
    if (nextMs !== undefined) {
      await sleepUntilChange(clock, machine, nextMs - clock.now(), ended);
      return;
    }
    await new Promise<void>((resolve) => {
      const forget = machine.onChange(done);
      ended.addEventListener("abort", done, { once: true });
      function done() {
        forget();
        ended.removeEventListener("abort", done);
        resolve();
      }
    });
  } catch (error) {
    if (!ended.aborted) throw error;
  }
}
