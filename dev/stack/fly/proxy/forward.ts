/** Sends one request to one Machine's program. */
import { type IncomingMessage, request as sendRequest } from "node:http";
import type { Duplex } from "node:stream";
import type { Client, MachineAnswer } from "./client.ts";
import type { Headers } from "./headers.ts";
import type { RequestBody } from "./request-body.ts";

export interface Forwarded {
  method: string;
  path: string;
  headers: Headers;
  body: RequestBody;
}

/** What came of it. */
export type Outcome =
  | { kind: "answer"; answer: MachineAnswer }
  | { kind: "upgraded"; headers: MachineAnswer["headers"]; socket: Duplex; head: Uint8Array }
  /** No connection. */
  | { kind: "refused" }
  /** A connection, and then no whole answer. */
  | { kind: "broken" };

/**
 * Sends a request to a port of 127.0.0.1.
 *
 * @param signal breaks it off
 */
export async function forward(
  port: number,
  { method, path, headers, body }: Forwarded,
  client: Pick<Client, "isUpgrade" | "headers">,
  signal: AbortSignal,
): Promise<Outcome> {
  if (signal.aborted) return { kind: "broken" };
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const outgoing = sendRequest({
    host: "127.0.0.1",
    port,
    method,
    path,
    agent: false,
    headers: {
      ...headers,
      ...(client.isUpgrade
        ? { connection: "Upgrade", upgrade: client.headers.upgrade ?? "websocket" }
        : { connection: "close" }),
      ...(body.length === null || body.length === 0
        ? {}
        : { "content-length": String(body.length) }),
    },
  });
  const breakOff = () => {
    outgoing.destroy();
    resolve({ kind: "broken" });
  };
  signal.addEventListener("abort", breakOff, { once: true });
  outgoing.on("error", (error: Error & { code?: string }) => {
    resolve({ kind: error.code === "ECONNREFUSED" ? "refused" : "broken" });
  });
  outgoing.on("response", (response: IncomingMessage) => {
    const { statusCode: status = 502, statusMessage: reason = "", headers } = response;
    resolve({ kind: "answer", answer: { status, reason, headers, body: response } });
  });
  outgoing.on("upgrade", (response: IncomingMessage, socket: Duplex, head: Uint8Array) => {
    resolve({ kind: "upgraded", headers: response.headers, socket, head });
  });
  // A Machine may answer before it has read everything; what it did not read does not matter then.
  body.send(outgoing).catch(() => resolve({ kind: "broken" }));
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", breakOff);
  }
}
