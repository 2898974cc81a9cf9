/** Serves the API and the control endpoint over HTTP. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { firstHalf } from "../../broken-answers.ts";
import { answerControl, CONTROL_PREFIX } from "../control/control-api.ts";
import type { Delivery } from "../control/delivery.ts";
import type { FlySimulator } from "../control/simulator.ts";

export interface ServeOptions {
  /** Default 127.0.0.1; its own address is that one in any case. */
  hostname?: string;
  /** 0, the default, takes any free port. */
  port?: number;
  /**
   * Keep connections open between calls, as the real API does; off by default. The `fetch` of Deno 2.9
   * may on its own send a request again, a POST too, when a connection that it had kept open breaks
   * before the answer: then a scripted reset is seen as two calls in the log, and the second one meets
   * what is left of the list of faults.
   */
  keepAlive?: boolean;
}

export interface ServedFlySimulator {
  /** Without a slash at the end: the value for FLY_API_HOSTNAME. */
  url: string;
  port: number;
  /** Ends calls under way, closes every connection and frees the port. */
  shutdown(): Promise<void>;
}

/**
 * Serves the simulator over HTTP on 127.0.0.1, with connections that really break where a fault says so.
 *
 * @throws when the port is taken.
 */
export async function serveFlySimulator(
  simulator: FlySimulator,
  { hostname = "127.0.0.1", port = 0, keepAlive = false }: ServeOptions = {},
): Promise<ServedFlySimulator> {
  const answering = new Set<Promise<void>>();
  let bound = port;
  const server = createServer((incoming, response) => {
    if (!keepAlive) response.setHeader("connection", "close");
    const answer = respond(simulator, `http://127.0.0.1:${bound}`, incoming, response);
    answering.add(answer);
    answer.finally(() => answering.delete(answer));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, hostname, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const address = server.address();
  if (typeof address === "object" && address !== null) bound = address.port;
  return {
    url: `http://127.0.0.1:${bound}`,
    port: bound,
    async shutdown() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      await simulator.abandonCalls();
      await Promise.allSettled([...answering]);
      server.closeAllConnections();
      await closed;
    },
  };
}

async function respond(
  simulator: FlySimulator,
  origin: string,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const caller = new AbortController();
  response.on("close", () => {
    if (!response.writableEnded) caller.abort(new DOMException("the caller left", "AbortError"));
  });
  try {
    const request = await toRequest(origin, incoming, caller.signal);
    const isControl = new URL(request.url).pathname.startsWith(CONTROL_PREFIX);
    const delivery = isControl
      ? await answerControl(simulator, request)
      : await simulator.handle(request);
    send(delivery, incoming, response);
  } catch (error) {
    if (caller.signal.aborted) return;
    // A fault of the simulator itself must not pass for one of Fly.io's.
    response.writeHead(599, { "content-type": "text/plain" });
    response.end(`the simulator failed: ${error instanceof Error ? error.stack : String(error)}`);
  }
}

async function toRequest(
  origin: string,
  incoming: IncomingMessage,
  signal: AbortSignal,
): Promise<Request> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) {
    for (const item of [value ?? []].flat()) headers.append(name, item);
  }
  const method = incoming.method ?? "GET";
  const body = new TextDecoder().decode(await new Blob(chunks as BlobPart[]).arrayBuffer());
  return new Request(new URL(incoming.url ?? "/", origin), {
    method,
    headers,
    signal,
    ...(method === "GET" || method === "HEAD" || body === "" ? {} : { body }),
  });
}

function send(delivery: Delivery, incoming: IncomingMessage, response: ServerResponse): void {
  if (delivery.kind === "reset") {
    incoming.socket.resetAndDestroy();
    return;
  }
  const { status, headers, body } = delivery;
  if (delivery.kind === "answer") {
    response.writeHead(status, headers);
    response.end(body ?? undefined);
    return;
  }
  const bytes = new TextEncoder().encode(delivery.body);
  response.writeHead(status, { ...headers, "content-length": String(bytes.length) });
  response.write(firstHalf(bytes), () => incoming.socket.destroy());
}
