/**
 * Serves a request handler on 127.0.0.1 with connections that can be reset.
 *
 * `node:http` rather than `Deno.serve`, because only its sockets can be reset by the handler.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { type Duplex, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

/** Thrown by a handler: the connection is to be reset without a (further) answer. */
export class ConnectionReset extends Error {
  override name = "ConnectionReset";
}

/** A listening server. */
export interface Listener {
  /** `http://127.0.0.1:<port>` */
  url: string;
  /** Stops listening and cuts the connections that are open. */
  close(): Promise<void>;
}

/**
 * @param port 0 for any free one
 * @param upgradeTo where a connection goes that asks to become a WebSocket: a port of 127.0.0.1
 */
export async function listen(
  port: number,
  handler: (request: Request, peerAddress: string | null) => Promise<Response>,
  upgradeTo: (path: string) => number | null = () => null,
): Promise<Listener> {
  const server = createServer((incoming, outgoing) => {
    answer(incoming, outgoing, handler).catch((error) => {
      if (error instanceof ConnectionReset) incoming.socket.resetAndDestroy();
      // The caller hung up, or the answer's source broke: a cut connection says so, a clean end
      // would pass off half an answer as a whole one.
      else incoming.socket.destroy();
    });
  });
  const upgraded = new Set<Duplex>();
  server.on("upgrade", (incoming: IncomingMessage, socket: Duplex, head: Uint8Array) => {
    const target = upgradeTo(incoming.url ?? "/");
    if (target === null) return socket.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n");
    upgraded.add(socket);
    socket.on("close", () => upgraded.delete(socket));
    passOn(incoming, socket, head, target);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  }).catch((error) => {
    throw new Error(`Cannot listen on 127.0.0.1:${port}: ${error.message}`);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no TCP address");
  return {
    url: `http://127.0.0.1:${address.port}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        for (const socket of upgraded) socket.destroy();
      }),
  };
}

/** Joins a connection with another server's, beginning with the request that came. */
function passOn(
  incoming: IncomingMessage,
  client: Duplex,
  head: Uint8Array,
  port: number,
): void {
  const server = connect(port, "127.0.0.1");
  for (const [socket, other] of [[client, server], [server, client]] as const) {
    // `close` follows.
    socket.on("error", () => {});
    socket.on("close", () => other.destroy());
  }
  const { rawHeaders } = incoming;
  const lines = rawHeaders.flatMap((name, index) =>
    index % 2 === 0 ? [`${name}: ${rawHeaders[index + 1] ?? ""}`] : []
  );
  server.write([`GET ${incoming.url} HTTP/1.1`, ...lines, "", ""].join("\r\n"));
  server.write(head);
  client.pipe(server).pipe(client);
}

async function answer(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  handler: (request: Request, peerAddress: string | null) => Promise<Response>,
): Promise<void> {
  const aborted = new AbortController();
  outgoing.once("close", () => {
    if (!outgoing.writableFinished) aborted.abort(new ConnectionReset("the caller hung up"));
  });
  const response = await handler(
    toRequest(incoming, aborted.signal),
    incoming.socket.remoteAddress ?? null,
  );
  if (outgoing.destroyed) {
    await response.body?.cancel();
    return;
  }
  // One request per connection: when a reused one breaks, Deno's fetch (2.7 and later) sends the
  // request again on its own, POST included, and a reset that a test asked for would go unnoticed.
  // https://github.com/denoland/deno/issues/35610
  outgoing.shouldKeepAlive = false;
  outgoing.statusCode = response.status;
  outgoing.statusMessage = response.statusText;
  for (const [name, value] of response.headers) {
    if (name === "set-cookie") outgoing.appendHeader(name, value);
    else outgoing.setHeader(name, value);
  }
  if (response.body === null || incoming.method === "HEAD") {
    await response.body?.cancel();
    outgoing.end();
  } else {
    outgoing.flushHeaders();
    await pipeline(Readable.fromWeb(response.body), outgoing);
  }
}

function toRequest(incoming: IncomingMessage, signal: AbortSignal): Request {
  const headers = new Headers();
  for (let index = 0; index < incoming.rawHeaders.length; index += 2) {
    headers.append(incoming.rawHeaders[index] ?? "", incoming.rawHeaders[index + 1] ?? "");
  }
  const method = incoming.method ?? "GET";
  const hasBody = method !== "GET" && method !== "HEAD";
  return new Request(new URL(incoming.url ?? "/", `http://${incoming.headers.host}`), {
    method,
    headers,
    signal,
    ...(hasBody ? { body: Readable.toWeb(incoming) as ReadableStream<Uint8Array> } : {}),
  });
}
