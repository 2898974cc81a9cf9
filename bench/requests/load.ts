/** Callers: each sends its next request when the last one was answered. */
import type { ServerProcess } from "../support/server-process.ts";

export interface LoadOptions {
  requests: number;
  /** How many requests are under way at a time. */
  concurrency: number;
  /** Access tokens of the users, who call in turn. */
  tokens: readonly string[];
}

/** What a load cost the server. */
export interface Load {
  /** Of each request, in milliseconds. */
  latenciesMs: number[];
  requestsPerSecond: number;
  cpuMsPerRequest: number;
  loggedBytesPerRequest: number;
  residentBytesAfter: number;
}

/** Throws as soon as an answer is not 200: the cost of a failure is not that of a success. */
export async function load(server: ServerProcess, options: LoadOptions): Promise<Load> {
  const { requests, concurrency, tokens } = options;
  const latenciesMs: number[] = [];
  const body = JSON.stringify({ region: "iad", cpuPriority: "normal" });
  let sent = 0;
  const caller = async () => {
    while (sent < requests) {
      const token = tokens[sent++ % tokens.length];
      const startedAt = performance.now();
      const response = await fetch(server.url, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        body,
      });
      const text = await response.text();
      latenciesMs.push(performance.now() - startedAt);
      if (response.status !== 200) throw new Error(`the answer is ${response.status}: ${text}`);
    }
  };
  const cpuBefore = await server.cpuMs();
  const bytesBefore = await server.loggedBytes();
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: concurrency }, caller));
  const seconds = (performance.now() - startedAt) / 1_000;
  const cpuMs = await server.cpuMs() - cpuBefore;
  return {
    latenciesMs,
    requestsPerSecond: requests / seconds,
    cpuMsPerRequest: cpuMs / requests,
    loggedBytesPerRequest: (await server.loggedBytes() - bytesBefore) / requests,
    residentBytesAfter: await server.residentBytes(),
  };
}
