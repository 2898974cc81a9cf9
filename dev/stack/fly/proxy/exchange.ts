/** One request through Fly Proxy: to a Machine, replayed as often as Machines ask for it, and back. */
import type { App } from "../world/world.ts";
import type { Client, MachineAnswer } from "./client.ts";
import { logError, type ProxyContext } from "./context.ts";
import { findMachine, type Found } from "./find-machine.ts";
import { forward, type Forwarded, type Outcome } from "./forward.ts";
import { type Headers, responseHeaders, statusAndHeaders } from "./headers.ts";
import { ProxyError } from "./proxy-error.ts";
import { parseReplay, REPLAY_JSON } from "./replay.ts";
import type { Place } from "./replay-cache.ts";
import type { RequestBody } from "./request-body.ts";
import { type Splice, splice } from "./splice.ts";
import { fallbackTarget, replayTarget, type Target } from "./target.ts";
import { within } from "./within.ts";

/** "Up to 10 times" (https://fly.io/docs/monitoring/error-codes/, PA02). */
const MAX_REPLAYS = 10;

/** A request, with what does not change when it is replayed. */
export interface Exchange {
  context: ProxyContext;
  client: Client;
  requestId: string;
  place: Place;
  headers: Headers;
  body: RequestBody;
}

/** A Machine took the request. */
type Reached =
  /** The connection is upgraded and runs without the proxy's doing. */
  | { kind: "joined" }
  /** `release` ends the answer's count as load. */
  | { kind: "answer"; found: Found; answer: MachineAnswer; release: () => void };

/**
 * Passes a request on until a Machine answers with anything but a replay.
 *
 * @throws {ProxyError} when no answer of a Machine can be passed on.
 */
export async function passOn(exchange: Exchange, first: Target): Promise<void> {
  const { context, client, place } = exchange;
  let target = first;
  let source: App = first.app;
  for (let replays = 0;;) {
    const startedMs = context.world.now();
    let reached: Reached;
    try {
      reached = await reach(exchange, target);
    } catch (error) {
      const next = error instanceof ProxyError
        ? fallbackTarget(target, source, failureOf(error), context.world.now() - startedMs)
        : null;
      if (next === null || !(error instanceof ProxyError)) throw error;
      logError(context, target.app, error);
      target = next;
      continue;
    }
    if (reached.kind === "joined") return;
    const { found, answer, release } = reached;
    if (!isReplay(answer)) {
      await client.answer(answer, exchange.requestId).finally(release);
      return;
    }
    const replay = await readReplay(answer).finally(release);
    if (target.isFallback) throw new ProxyError("PA03", 502, "a fallback may not be replayed");
    if (++replays > MAX_REPLAYS) throw new ProxyError("PA02", 502, "more than 10 replays");
    if (!exchange.body.repeatable) {
      throw new ProxyError("PA01", 502, "the request is too large to be replayed");
    }
    source = target.app;
    const next = replayTarget(context, target, found.machine, replay);
    context.replayCache.obey(place, answer.headers, replay, source, context.world.now());
    target = next;
  }
}

function failureOf({ code }: ProxyError): "timeout" | "retries_exhausted" | "no_candidate" {
  if (code === "PM03") return "timeout";
  return code === "PC01" || code === "PU02" ? "retries_exhausted" : "no_candidate";
}

/** Sends the request to a Machine of the target. One that refuses makes way for the next. */
async function reach(exchange: Exchange, target: Target): Promise<Reached> {
  const { context, client } = exchange;
  const excluded = new Set(target.excluded);
  let refusal: ProxyError | null = null;
  const givingUp = new AbortController();
  const signal = AbortSignal.any([client.left, givingUp.signal]);
  const attempts = async (): Promise<Reached> => {
    for (;;) {
      const found = await findMachine(context, { ...target, excluded }, signal)
        .catch((error) => {
          throw refusal ?? error;
        });
      const reached = await attempt(exchange, target, found, signal);
      if (reached !== null) return reached;
      const { id } = found.machine.identity;
      refusal = new ProxyError("PC01", 502, "the machine refused the connection", id);
      excluded.add(id);
    }
  };
  if (target.timeoutMs === undefined) return await attempts();
  const reached = await within(context.world.clock, target.timeoutMs, attempts());
  if (reached !== "too late") return reached;
  givingUp.abort(new Error("the replay's timeout"));
  throw new ProxyError("PM03", 502, "the replay's timeout is over");
}

/** @returns null when the Machine refused the connection */
async function attempt(
  { context, client, place, headers, body, requestId }: Exchange,
  { headers: added, transform }: Target,
  found: Found,
  signal: AbortSignal,
): Promise<Reached | null> {
  const { runner, connections, settings, world } = context;
  const { machine, service, missed } = found;
  const { id } = machine.identity;
  // From here on it counts as load, so that the next request sees it.
  const cut = new AbortController();
  let sendAway = () => {};
  const release = connections.enter(id, {
    cut: () => cut.abort(new Error("the machine is gone")),
    sendAway: () => sendAway(),
  });
  const door = await within(
    world.clock,
    settings().connectTimeoutMs,
    runner.door(machine, service.internal_port),
  );
  if (door === "too late" || door === "refused") {
    release();
    return null;
  }
  const request: Forwarded = {
    method: client.method,
    path: transform?.path ?? place.path,
    headers: changed(headers, {
      ...added,
      ...(missed === null ? {} : { "fly-preferred-instance-unavailable": missed }),
    }, transform),
    body,
  };
  const outcome = await forward(door.port, request, client, AbortSignal.any([signal, cut.signal]));
  switch (outcome.kind) {
    case "answer":
      cut.signal.addEventListener("abort", () => outcome.answer.body.destroy(), { once: true });
      return { kind: "answer", found, answer: outcome.answer, release };
    case "upgraded": {
      const joined = join(client, outcome, requestId);
      cut.signal.addEventListener("abort", () => joined.cut(), { once: true });
      sendAway = () => joined.sendAway();
      joined.ended.then(release);
      return { kind: "joined" };
    }
    case "refused":
      release();
      return null;
    case "broken":
      release();
      throw new ProxyError("PU02", 502, "the machine did not complete the request", id);
  }
}

/** Passes the upgrade on to the client and lets the bytes flow. */
function join(
  client: Client,
  { headers, socket, head }: Extract<Outcome, { kind: "upgraded" }>,
  requestId: string,
): Splice {
  const all = { ...responseHeaders(headers, requestId), connection: "Upgrade" };
  const upgrade = headers.upgrade ?? "websocket";
  client.socket.write(statusAndHeaders(101, "Switching Protocols", { ...all, upgrade }));
  const joined = splice(client.socket, socket);
  if (client.head.length > 0) client.socket.emit("data", client.head);
  if (head.length > 0) socket.emit("data", head);
  return joined;
}

function changed(
  headers: Headers,
  added: Record<string, string>,
  transform: Target["transform"],
): Headers {
  const all: Headers = { ...headers, ...added };
  for (const name of transform?.delete_headers ?? []) delete all[name.toLowerCase()];
  for (const { name, value } of transform?.set_headers ?? []) all[name.toLowerCase()] = value;
  return all;
}

function isReplay({ headers }: MachineAnswer): boolean {
  return headers["fly-replay"] !== undefined ||
    headers["content-type"]?.startsWith(REPLAY_JSON) === true;
}

async function readReplay({ headers, body }: MachineAnswer) {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of body) text += decoder.decode(chunk, { stream: true });
  return parseReplay([headers["fly-replay"] ?? []].flat()[0], text);
}
