import { callFacts, deliver, preventsEffect, stopsWithCaller } from "./apply-faults.ts";
import type { Token } from "../api/authorization.ts";
import { type Clock, systemClock } from "../../clock.ts";
import { answerControl, CONTROL_PREFIX } from "./control-api.ts";
import { type Delivery, toResponse } from "./delivery.ts";
import { requestId } from "../world/identifiers.ts";
import { Operator } from "./controls.ts";
import { perform } from "../api/dispatch.ts";
import type { Random } from "../world/random.ts";
import { RateLimiter } from "../api/rate-limit.ts";
import { FLY_REGIONS, Regions } from "../world/regions.ts";
import { RequestLog } from "./request-log.ts";
import { route } from "../api/routes.ts";
import { DEFAULT_SETTINGS, type Settings } from "./settings.ts";
import { Faults } from "./faults.ts";
import type { RequestRecord } from "../world/types.ts";
import { World } from "../world/world.ts";

/** Why a call ended when `abandonCalls` ended it. */
class AbandonedCall extends Error {
  override readonly name = "AbandonedCall";
}

/** The token that is accepted when none is given. */
export const DEFAULT_TOKEN = "fly-simulator-token";

export interface FlySimulatorOptions {
  /** The system's clock by default. */
  clock?: Clock;
  /** Source of every id; `Math.random` by default. With a seeded source every run is the same. */
  random?: Random;
  /** Tokens that are accepted; `[DEFAULT_TOKEN]` by default. */
  tokens?: readonly (string | Token)[];
  /** Names of the apps that exist from the start (organization `personal`); `["demo"]` by default. */
  apps?: readonly string[];
  /** Fly.io's current regions by default. */
  regions?: readonly string[];
  /** The region in every `fly-request-id`; `iad` by default. */
  edgeRegion?: string;
  settings?: Partial<Settings>;
}

/**
 * A Fly.io Machines API that remembers what it is told. It works in process through `fetch` and over
 * HTTP through `serveFlySimulator`; README.md lists what it models.
 *
 * ```ts
 * const simulator = new FlySimulator({ apps: ["demo"], tokens: ["token"] });
 * simulator.addFault({ match: { action: "create" }, do: { kind: "reset", when: "after" } });
 * await simulator.fetch(new Request("https://api.machines.dev/v1/apps/demo/machines", { … }));
 * ```
 */
export class FlySimulator extends Operator {
  readonly #tokens: readonly Token[];
  readonly #edgeRegion: string;
  readonly #inFlight = new Set<Promise<Delivery>>();
  #abandon = new AbortController();

  constructor(options: FlySimulatorOptions = {}) {
    const settings = { ...DEFAULT_SETTINGS, ...options.settings };
    const world = new World(
      options.clock ?? systemClock,
      options.random ?? Math.random,
      new Regions(options.regions ?? FLY_REGIONS),
      settings,
    );
    super(world, new Faults(), new RequestLog(), new RateLimiter(), options.apps ?? ["demo"]);
    this.#tokens = (options.tokens ?? [DEFAULT_TOKEN]).map((token) =>
      typeof token === "string" ? { token } : token
    );
    this.#edgeRegion = options.edgeRegion ?? "iad";
  }

  /** How many calls are under way. A call whose caller left may still be among them. */
  get callsInFlight(): number {
    return this.#inFlight.size;
  }

  /**
   * Answers one request, as `fetch` would: a scripted reset throws a TypeError, a cut answer breaks
   * while its body is read, and an aborted `request.signal` rejects at once, while the call itself goes
   * on behind the caller's back as on a real server.
   */
  async fetch(request: Request): Promise<Response> {
    request.signal.throwIfAborted();
    const delivery = this.handle(request);
    const { promise: left, reject } = Promise.withResolvers<never>();
    const onAbort = () => reject(request.signal.reason);
    request.signal.addEventListener("abort", onAbort, { once: true });
    try {
      return toResponse(await Promise.race([delivery, left]), request.url);
    } finally {
      request.signal.removeEventListener("abort", onAbort);
    }
  }

  /** Answers one request with what goes over the wire. Never rejects for a scripted fault. */
  handle(request: Request): Promise<Delivery> {
    const path = new URL(request.url).pathname;
    const delivery = path.startsWith(CONTROL_PREFIX)
      ? answerControl(this, request)
      : this.#call(request);
    this.#inFlight.add(delivery);
    const forget = () => this.#inFlight.delete(delivery);
    delivery.then(forget, forget);
    return delivery;
  }

  /**
   * Ends every call under way without an answer, so that no timer is left; the simulator itself stays
   * usable. Call it at the end of a test that left calls behind.
   */
  async abandonCalls(): Promise<void> {
    this.#abandon.abort(new AbandonedCall("the simulator abandoned the call"));
    this.#abandon = new AbortController();
    await Promise.allSettled([...this.#inFlight]);
  }

  async #call(request: Request): Promise<Delivery> {
    const atMs = this.world.now();
    const { pathname: path, searchParams: query } = new URL(request.url);
    const target = route(request.method, path);
    const id = requestId(atMs, this.world.random, this.#edgeRegion);
    const record = this.log.open(request, target, id, atMs);
    const onAbort = () => {
      record.clientLeft = true;
    };
    request.signal.addEventListener("abort", onAbort, { once: true });
    try {
      const body = await request.text();
      const delivery = await this.#respond(request, { path, query, target, body }, record);
      if (!record.clientLeft && delivery.kind !== "reset") record.status = delivery.status;
      return delivery;
    } catch (error) {
      // Left by its caller during a wait, or abandoned: nobody is there to answer.
      if (record.clientLeft || error instanceof AbandonedCall) return { kind: "reset" };
      throw error;
    } finally {
      request.signal.removeEventListener("abort", onAbort);
      record.durationMs = this.world.now() - atMs;
    }
  }

  async #respond(
    request: Request,
    { path, query, target, body }: {
      path: string;
      query: URLSearchParams;
      target: ReturnType<typeof route>;
      body: string;
    },
    record: RequestRecord,
  ): Promise<Delivery> {
    const { world } = this;
    const { method } = request;
    const abandoned = this.#abandon.signal;
    const callerOrAbandoned = AbortSignal.any([abandoned, request.signal]);
    const facts = callFacts(world, method, path, target, body);
    record.machineName = facts.machineName;
    const { answer: fault, delay, fates } = this.faults.strike(facts);
    record.faults = [fault, delay, ...fates].flatMap((struck) => struck ? [struck.kind] : []);
    const latencyMs = world.draw(world.settings.latencyMs);
    const pause = async (ms: number, signal: AbortSignal) => {
      if (ms > 0) await world.clock.sleep(ms, signal);
    };

    await pause(latencyMs / 2, abandoned);
    if (delay?.when === "before") {
      await pause(delay.ms, stopsWithCaller(delay) ? callerOrAbandoned : abandoned);
    }
    const headers: Record<string, string> = {
      "content-type": "application/json; charset=utf-8",
      "fly-request-id": record.requestId,
      server: "Fly/simulator",
      via: "1.1 fly.io",
    };
    if (preventsEffect(fault)) return deliver({ status: 0, effect: false }, fault, headers);
    const call = { world, method, route: target, query, body, fates, signal: callerOrAbandoned };
    const authorization = request.headers.get("authorization");
    const answer = await perform(call, {
      authorization,
      tokens: this.#tokens,
      limiter: this.limiter,
      path,
    });
    record.tookEffect = answer.effect;
    if (target.action === "create" && answer.effect) {
      record.machineId = createdId(answer.json);
      record.machineName = world.findMachine(record.machineId ?? "")?.identity.name ?? null;
    }
    if (delay?.when === "after") await pause(delay.ms, abandoned);
    await pause(latencyMs / 2, abandoned);
    return deliver(answer, fault, headers);
  }
}

function createdId(json: unknown): string | null {
  const id = typeof json === "object" && json !== null ? Reflect.get(json, "id") : null;
  return typeof id === "string" ? id : null;
}
