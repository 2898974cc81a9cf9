/**
 * Everything between the isolates and their upstreams: latency, faults, machines that reads miss, and
 * a record of every call with the life that it was about.
 */
import { garbledAnswer, halfAnswer } from "../../dev/stack/broken-answers.ts";
import type { VirtualClock } from "../../dev/stack/clock.ts";
import type { FlySimulator } from "../../dev/stack/fly/mod.ts";
import { reset, scriptedAnswer, type Upstream } from "../model/bad-answers.ts";
import type { ScheduledFault } from "../model/draw-faults.ts";
import { flyAction, flySubject } from "../model/fly-calls.ts";
import type { ModelDatabase } from "../model/model-database.ts";
import type { Carry, SimulatedIsolate } from "../model/simulated-isolate.ts";
import type { Conditions } from "./conditions.ts";

/** One call to an upstream as it went. */
export interface LifeCall {
  number: number;
  upstream: Upstream;
  isolate: string;
  /** Which life of the batch it is about, by its place; null for lists and reconcile's own calls. */
  life: number | null;
  /** Which run of reconcile it belongs to; null for a caller's request. */
  run: number | null;
  method: string;
  action: string;
  /** With the query. */
  path: string;
  /** The machine's id or name, or its app's name. */
  subject: string | null;
  /** What went wrong with it; null when nothing did. */
  fault: string | null;
  /** Lives whose machines this call did not see, although they are there. */
  omitted: readonly number[];
  /** Regions that were missing from a list. */
  silent: readonly string[];
  sentAtMs: number;
  sentStep: number;
  /** Null: it never arrived. */
  effectAtMs: number | null;
  /** What the caller saw: a status, or how the call broke; null while it waits. */
  seen: string | null;
}

export interface NetworkOptions {
  time: VirtualClock;
  simulator: FlySimulator;
  database: ModelDatabase;
  conditions: Conditions;
  latencyMs: number;
}

/** What an isolate works on; the network gets it with each call. */
export interface Work {
  life: number | null;
  run: number | null;
}

const LISTS = ["list", "organization-machines"];
const never = (): Promise<never> => new Promise(() => {});

export class LifeNetwork {
  readonly calls: LifeCall[] = [];
  /** The life of each machine and app, by name. */
  readonly #lives = new Map<string, number>();

  constructor(private readonly options: NetworkOptions) {}

  /** The way of an isolate's calls to the upstreams. */
  carrying(work: Work): Carry {
    return (isolate, request, signal) => this.#carry(work, isolate, request, signal);
  }

  /** Which life the machine or app of this name is part of. */
  lifeOf(name: string): number | undefined {
    return this.#lives.get(name);
  }

  /** The names of a life's machines, oldest first. */
  namesOf(life: number): string[] {
    return [...this.#lives].filter(([, other]) => other === life).map(([name]) => name);
  }

  async #carry(
    work: Work,
    isolate: SimulatedIsolate,
    request: Request,
    signal: AbortSignal | null,
  ): Promise<Response> {
    signal?.throwIfAborted();
    const { time, database } = this.options;
    if (new URL(request.url).pathname === "/auth/v1/.well-known/jwks.json") {
      // supabase-js keeps the keys for ten real minutes across clients: no place for a fault.
      return await time.track(database.stack.fetch(request));
    }
    const body = await request.text();
    const call = this.#open(work, isolate, request, body);
    const fault = this.#faultOf(call);
    if (fault.kind === "crash" && fault.when === "unsent") {
      isolate.crash();
      return await never();
    }
    const answer = this.#transmit({ call, fault, isolate }, request, body, signal);
    answer.catch(() => {/* its caller may be gone */});
    if (fault.kind === "crash" && fault.when === "sent") isolate.crash();
    const { promise: left, reject } = Promise.withResolvers<never>();
    const onAbort = () => reject(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      const response = await Promise.race([answer, left]);
      call.seen = String(response.status);
      return response;
    } catch (error) {
      call.seen = signal?.aborted ? "given up" : "reset";
      throw error;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  #open(work: Work, isolate: SimulatedIsolate, request: Request, body: string): LifeCall {
    const { time, database } = this.options;
    const url = new URL(request.url);
    const upstream = url.origin === new URL(database.stack.url).origin ? "database" : "fly";
    const isFly = upstream === "fly";
    const action = isFly ? flyAction(request.method, url) : url.pathname.split("/").at(-1) ?? "";
    const name = action === "create" || action === "app-create"
      ? (JSON.parse(body) as { name: string }).name
      : null;
    if (name !== null && work.life !== null) this.#lives.set(name, work.life);
    const subject = name ?? (isFly ? flySubject(url) ?? url.pathname.split("/")[3] ?? null : null);
    const call: LifeCall = {
      number: this.calls.length,
      upstream,
      isolate: isolate.name,
      life: isFly ? this.#lifeOfSubject(subject) : work.life,
      run: work.run,
      method: request.method,
      action,
      path: url.pathname + url.search,
      subject,
      fault: null,
      omitted: [],
      silent: [],
      sentAtMs: time.now(),
      sentStep: time.step,
      effectAtMs: null,
      seen: null,
    };
    this.calls.push(call);
    return call;
  }

  #lifeOfSubject(subject: string | null): number | null {
    const name = this.options.simulator.world.findMachine(subject ?? "")?.identity.name ?? subject;
    return this.#lives.get(name ?? "") ?? null;
  }

  #faultOf(call: LifeCall): ScheduledFault {
    const fault = this.options.conditions.faultOf(call);
    if (fault.kind !== "none") call.fault = describe(fault);
    return fault;
  }

  async #transmit(
    { call, fault, isolate }: { call: LifeCall; fault: ScheduledFault; isolate: SimulatedIsolate },
    request: Request,
    body: string,
    signal: AbortSignal | null,
  ): Promise<Response> {
    const { time, latencyMs } = this.options;
    if (latencyMs > 0) await time.sleep(latencyMs);
    if (fault.kind === "hang" && fault.when === "before") return await never();
    if (fault.kind === "delay" && fault.when === "before") await time.sleep(fault.ms);
    if (fault.kind === "reset" && fault.when === "before") throw reset();
    const scripted = fault.kind === "status"
      ? scriptedAnswer(fault, call.upstream, request, body, 250 + (call.number * 17) % 2_250)
      : null;
    if (fault.kind === "status" && !fault.effect && scripted) return scripted;
    const arrived = new Request(request.url, {
      method: request.method,
      headers: request.headers,
      ...(body === "" ? {} : { body }),
      ...(signal && !signal.aborted ? { signal } : {}),
    });
    call.effectAtMs = time.now();
    const response = call.upstream === "fly"
      ? await this.#askFly(call, arrived)
      : await time.track(this.#askDatabase(arrived));
    if (fault.kind === "hang") return await never();
    if (fault.kind === "delay") await time.sleep(fault.ms);
    if (fault.kind === "crash" && fault.when === "answered") isolate.crash();
    if (fault.kind === "reset") throw reset();
    if (fault.kind === "half-answer") return halfAnswer(response);
    if (fault.kind === "garbage") return garbledAnswer(response, fault.body);
    return scripted ?? response;
  }

  async #askDatabase(request: Request): Promise<Response> {
    const { database, time } = this.options;
    const response = await database.perform(new Request(request, { signal: null }), time);
    const text = await response.text();
    return new Response(text === "" ? null : text, response);
  }

  /** Lists and calls about a machine may miss machines that are there. */
  async #askFly(call: LifeCall, request: Request): Promise<Response> {
    const { simulator, conditions } = this.options;
    const isList = LISTS.includes(call.action);
    if (isList) call.silent = simulator.world.regions.silent();
    call.omitted = isList
      ? conditions.missingFromList()
      : call.life !== null && conditions.isMissed(call.life)
      ? [call.life]
      : [];
    const missed = [...this.#lives].filter(([, life]) => call.omitted.includes(life));
    const machines = missed.map(([name]) => name);
    const [path = ""] = call.path.split("?");
    if (machines.length > 0) {
      simulator.addFault({
        match: { method: call.method, path },
        do: { kind: "omits", machines },
      });
    }
    const response = await simulator.fetch(request);
    return new Response(await response.arrayBuffer(), response);
  }
}

function describe(fault: ScheduledFault): string {
  const detail = fault.kind === "status"
    ? ` ${fault.status}${fault.effect ? " after its effect" : ""}`
    : "when" in fault
    ? ` ${fault.when}`
    : "";
  return `${fault.kind}${detail}`;
}
