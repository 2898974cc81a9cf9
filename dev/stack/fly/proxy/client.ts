/** The client's end of one request: a plain one, or one that asks for a WebSocket. */
import { Buffer } from "node:buffer";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ownHeaders, responseHeaders, statusAndHeaders } from "./headers.ts";
import { RequestBody } from "./request-body.ts";

/** A Machine's answer, not yet passed on. */
export interface MachineAnswer {
  status: number;
  reason: string;
  headers: IncomingHttpHeaders;
  body: IncomingMessage;
}

export interface Client {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  ip: string;
  isUpgrade: boolean;
  /** Aborted when the client leaves. */
  left: AbortSignal;
  readBody(maxBytes: number): Promise<RequestBody>;
  /** Passes a Machine's answer on. */
  answer(answer: MachineAnswer, requestId: string): Promise<void>;
  /** Answers in the proxy's own name. */
  refuse(status: number, requestId: string, headers?: Record<string, string>): void;
  /** Ends the connection without an answer. */
  hangUp(): void;
  /** Of an upgrade: the connection, and what the client sent behind its request. */
  socket: Duplex;
  head: Uint8Array;
}

/** A plain request. */
export function plainClient(incoming: IncomingMessage, response: ServerResponse): Client {
  const left = new AbortController();
  response.on("close", () => {
    if (!response.writableEnded) left.abort(new Error("the client left"));
  });
  response.on("error", () => left.abort(new Error("the client left")));
  return {
    ...describe(incoming),
    isUpgrade: false,
    left: left.signal,
    readBody: (maxBytes) => RequestBody.read(incoming, maxBytes),
    async answer({ status, reason, headers, body }, requestId) {
      response.writeHead(status, reason, responseHeaders(headers, requestId));
      await pipeline(body, response);
    },
    refuse(status, requestId, headers = {}) {
      response.writeHead(status, { ...ownHeaders(requestId), ...headers, connection: "close" });
      response.end();
    },
    hangUp() {
      incoming.socket.resetAndDestroy();
    },
    socket: incoming.socket,
    head: new Uint8Array(),
  };
}

/** A request for an upgrade. The answer is written to the connection itself. */
export function upgradeClient(
  incoming: IncomingMessage,
  socket: Duplex,
  head: Uint8Array,
): Client {
  const left = new AbortController();
  socket.on("close", () => left.abort(new Error("the client left")));
  socket.on("error", () => socket.destroy());
  return {
    ...describe(incoming),
    isUpgrade: true,
    left: left.signal,
    readBody: () => Promise.resolve(RequestBody.none),
    async answer({ status, reason, headers, body }, requestId) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of body) chunks.push(chunk);
      const bytes = Buffer.concat(chunks);
      const all = {
        ...responseHeaders(headers, requestId),
        "content-length": String(bytes.length),
      };
      socket.write(statusAndHeaders(status, reason, { ...all, connection: "close" }));
      socket.end(bytes);
    },
    refuse(status, requestId, headers = {}) {
      const all = { ...ownHeaders(requestId), ...headers, "content-length": "0" };
      socket.end(statusAndHeaders(status, "", { ...all, connection: "close" }));
    },
    hangUp: () => void socket.destroy(),
    socket,
    head,
  };
}

function describe(incoming: IncomingMessage) {
  return {
    method: incoming.method ?? "GET",
    url: incoming.url ?? "/",
    headers: incoming.headers,
    ip: incoming.socket.remoteAddress ?? "127.0.0.1",
  };
}
