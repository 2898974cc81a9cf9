/** Where a call comes in: one call to the API from its arrival to what goes back over the wire. */
import { applyFaults, callFacts } from "../control/apply-faults.ts";
import type { Delivery } from "../control/delivery.ts";
import type { FlyFaults } from "../control/fault-rules.ts";
import type { CallLog } from "../control/call-log.ts";
import { requestId } from "../world/identifiers.ts";
import type { FlyRequestRecord } from "../world/types.ts";
import type { World } from "../world/world.ts";
import { dispatch } from "./dispatch.ts";
import type { RateLimiter } from "./rate-limit.ts";
import { matchRoute } from "./routes.ts";

/** Why a call ended when `abandon` ended it. */
class AbandonedCall extends Error {
  override readonly name = "AbandonedCall";
}

/** The parts of a simulator that a call needs. */
export interface CallContext {
  world: World;
  faults: FlyFaults;
  log: CallLog;
  limiter: RateLimiter;
  /** The region in every `fly-request-id`. */
  edgeRegion: string;
}

/** The calls to one simulator. */
export class Calls {
  readonly #inFlight = new Set<Promise<Delivery>>();
  #abandon = new AbortController();

  constructor(private readonly context: CallContext) {}

  /** How many calls are under way. A call whose caller left may still be among them. */
  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** Answers one request with what goes over the wire. Never rejects for a fault. */
  handle(request: Request): Promise<Delivery> {
    const delivery = this.#handle(request);
    this.#inFlight.add(delivery);
    const forget = () => this.#inFlight.delete(delivery);
    delivery.then(forget, forget);
    return delivery;
  }

  /** Ends every call under way without an answer, so that no timer is left. */
  async abandon(): Promise<void> {
    this.#abandon.abort(new AbandonedCall("the simulator abandoned the call"));
    this.#abandon = new AbortController();
    await Promise.allSettled([...this.#inFlight]);
  }

  async #handle(request: Request): Promise<Delivery> {
    const { world, log, edgeRegion } = this.context;
    const atMs = world.now();
    const route = matchRoute(request.method, new URL(request.url).pathname);
    const id = requestId(atMs, world.random, edgeRegion);
    const record = log.open(request, route, id, atMs);
    const onAbort = () => {
      record.clientLeft = true;
    };
    request.signal.addEventListener("abort", onAbort, { once: true });
    try {
      const delivery = await this.#respond(request, await request.text(), record);
      if (!record.clientLeft && delivery.kind !== "reset") record.status = delivery.status;
      return delivery;
    } catch (error) {
      // The caller left during a wait, or the call was abandoned: there is no caller to answer.
      if (record.clientLeft || error instanceof AbandonedCall) return { kind: "reset" };
      throw error;
    } finally {
      request.signal.removeEventListener("abort", onAbort);
      record.durationMs = world.now() - atMs;
    }
  }

  async #respond(request: Request, body: string, record: FlyRequestRecord): Promise<Delivery> {
    const { world, limiter } = this.context;
    const { method } = request;
    const { pathname: path, searchParams: query } = new URL(request.url);
    const route = matchRoute(method, path);
    const abandoned = this.#abandon.signal;
    const callerOrAbandoned = AbortSignal.any([abandoned, request.signal]);
    const facts = callFacts(world, method, path, route, body);
    record.machineName = facts.machineName;
    const faults = this.context.faults.take(facts);
    record.faults = [faults.answer, faults.delay, faults.omits, ...faults.machine]
      .flatMap((fault) => fault ? [fault.kind] : []);
    const timing = {
      latencyMs: world.draw(world.settings.latencyMs),
      sleep: (ms: number) => world.clock.sleep(ms, abandoned),
      callerOrAbandoned,
    };
    const headers = {
      "content-type": "application/json; charset=utf-8",
      "fly-request-id": record.requestId,
      server: "Fly/simulator",
      via: "1.1 fly.io",
    };
    const authorization = request.headers.get("authorization");
    const machineFaults = faults.machine;
    const omitted = faults.omits?.machines ?? null;
    const signal = callerOrAbandoned;
    const leaseNonce = request.headers.get("fly-machine-lease-nonce");
    const call = { world, method, route, query, body, machineFaults, leaseNonce, omitted, signal };
    return await applyFaults(faults, timing, headers, async () => {
      const answer = await dispatch(call, { authorization, limiter, path });
      record.tookEffect = answer.effect;
      if (route.action === "create" && answer.effect) {
        record.machineId = createdId(answer.json);
        record.machineName = world.findMachine(record.machineId ?? "")?.identity.name ?? null;
      }
      return answer;
    });
  }
}

function createdId(json: unknown): string | null {
  const id = typeof json === "object" && json !== null ? Reflect.get(json, "id") : null;
  return typeof id === "string" ? id : null;
}
