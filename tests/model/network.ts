/**
 * Everything between an isolate and its upstreams: latency, faults, and a record of every call. A call
 * that was sent goes on when its caller times out or dies, as on a real network.
 */
import type { FlySimulator } from "../../dev/stack/fly/mod.ts";
import { garbledAnswer, halfAnswer } from "../../dev/stack/broken-answers.ts";
import { reset, scriptedAnswer, type Upstream } from "./bad-answers.ts";
import type { ScheduledFault, ScheduledMachineFault, ScheduledStartFault } from "./draw-faults.ts";
import type { SimulatedIsolate } from "./simulated-isolate.ts";
import type { ModelDatabase } from "./model-database.ts";
import type { Schedule } from "./schedule.ts";
import type { VirtualClock } from "../../dev/stack/clock.ts";
import { flyAction, flySubject } from "./fly-calls.ts";
import { createMachine, STRANGERS, STRANGERS_TOKEN } from "./foreign-machines.ts";
import { WEBHOOK_URL } from "./upstreams.ts";

/** One call to an upstream as it went. */
export interface UpstreamCall {
  number: number;
  upstream: Upstream;
  isolate: string;
  method: string;
  /** `create`, `list`, `app-create`, … of Fly.io, or the name of the database function. */
  action: string;
  /**
   * The machine's name for a create, the app's for calls to apps and addresses, the machine's id for the
   * rest of Fly.io's calls, if there is one.
   */
  subject: string | null;
  fault: ScheduledFault;
  sentAtMs: number;
  sentStep: number;
  /** Null: it never arrived. */
  effectAtMs: number | null;
  /** What the caller saw: a status, or how the call broke; null while it waits. */
  seen: string | null;
  /** How long the caller waited for that, in milliseconds. */
  waitedMs: number;
  /** Fly.io said something false about whether a machine exists. */
  lied: boolean;
}

export interface NetworkOptions {
  schedule: Schedule;
  time: VirtualClock;
  simulator: FlySimulator;
  database: ModelDatabase;
}

const NONE: ScheduledFault = { kind: "none" };
const never = (): Promise<never> => new Promise(() => {});

export class Network {
  readonly calls: UpstreamCall[] = [];
  /** Ids of the machines that were destroyed behind our back. */
  readonly killed = new Set<string>();
  /** What was drawn for each create that arrived. */
  readonly machineFaults: ScheduledMachineFault[] = [];
  /** Messages that the alert webhook was sent. */
  readonly alerts: string[] = [];
  /** Whether calls still meet the schedule's faults and latencies. */
  faulty = true;
  /** Apps whose names strangers took, and the ids of the machines in them. */
  readonly strangerApps: string[] = [];
  readonly strangerMachines: string[] = [];
  #appCreates = 0;
  #creates = 0;
  /** What was drawn for each start of a machine of the pool. */
  readonly startFaults: ScheduledStartFault[] = [];
  #latencies = 0;
  readonly #sent: Record<Upstream, number> = { fly: 0, database: 0 };

  constructor(private readonly options: NetworkOptions) {}

  /** Sends one call; rejects with the signal's reason as soon as that is aborted, as `fetch` does. */
  readonly carry = async (
    isolate: SimulatedIsolate,
    request: Request,
    signal: AbortSignal | null,
  ): Promise<Response> => {
    signal?.throwIfAborted();
    const { pathname } = new URL(request.url);
    if (pathname === "/auth/v1/.well-known/jwks.json") {
      // supabase-js keeps the keys for ten real minutes across clients: no place for a fault.
      return await this.options.time.track(this.options.database.stack.fetch(request));
    }
    if (request.url === WEBHOOK_URL) {
      this.alerts.push(await request.text());
      return new Response("ok");
    }
    const call = this.#open(isolate, request);
    const { fault } = call;
    if (fault.kind === "crash" && fault.when === "unsent") {
      isolate.crash();
      return await never();
    }
    const answer = this.#transmit(call, request, signal, isolate);
    answer.catch(() => {/* its caller may be gone */});
    if (fault.kind === "crash" && fault.when === "sent") isolate.crash();
    const { promise: left, reject } = Promise.withResolvers<never>();
    const onAbort = () => reject(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      const response = await Promise.race([answer, left]);
      call.seen = `${response.status}${fault.kind === "none" ? "" : ` (${fault.kind})`}`;
      return response;
    } catch (error) {
      call.seen = signal?.aborted ? "given up" : "reset";
      throw error;
    } finally {
      call.waitedMs = this.options.time.now() - call.sentAtMs;
      signal?.removeEventListener("abort", onAbort);
    }
  };

  #open(isolate: SimulatedIsolate, request: Request): UpstreamCall {
    const { schedule, time, database } = this.options;
    const url = new URL(request.url);
    const upstream = url.origin === new URL(database.stack.url).origin ? "database" : "fly";
    const faults = upstream === "fly" ? schedule.flyFaults : schedule.databaseFaults;
    const fault = this.faulty ? faults[this.#sent[upstream]++] ?? NONE : NONE;
    const call: UpstreamCall = {
      number: this.calls.length,
      upstream,
      isolate: isolate.name,
      method: request.method,
      action: upstream === "fly"
        ? flyAction(request.method, url)
        : url.pathname.split("/").at(-1) ?? "",
      subject: upstream === "fly" ? flySubject(url) : null,
      fault,
      sentAtMs: time.now(),
      sentStep: time.step,
      effectAtMs: null,
      seen: null,
      waitedMs: 0,
      lied: fault.kind === "status" && fault.status === 404 && !fault.effect ||
        upstream === "fly" && request.method === "GET" && this.faulty &&
          (fault.kind === "silent-region" || schedule.settings.reads !== "prompt"),
    };
    this.calls.push(call);
    return call;
  }

  async #transmit(
    call: UpstreamCall,
    request: Request,
    signal: AbortSignal | null,
    isolate: SimulatedIsolate,
  ): Promise<Response> {
    const { time } = this.options;
    const { fault, upstream } = call;
    const body = await request.text();
    if (call.action === "create") call.subject = (JSON.parse(body) as { name: string }).name;
    await time.sleep(this.#latencyMs());
    if (fault.kind === "hang" && fault.when === "before") return await never();
    if (fault.kind === "delay" && fault.when === "before") await time.sleep(fault.ms);
    if (fault.kind === "reset" && fault.when === "before") throw reset();
    const scripted = fault.kind === "status"
      ? scriptedAnswer(fault, upstream, request, body, paddingOf(call.number))
      : null;
    if (fault.kind === "status" && !fault.effect && scripted) {
      await time.sleep(this.#latencyMs());
      return scripted;
    }
    const arrived = new Request(request.url, {
      method: request.method,
      headers: request.headers,
      ...(body === "" ? {} : { body }),
      ...(signal && !signal.aborted ? { signal } : {}),
    });
    call.effectAtMs = time.now();
    const response = upstream === "fly"
      ? await this.#askFly(call, arrived)
      : await time.track(this.#askDatabase(arrived));
    if (fault.kind === "hang") return await never();
    if (fault.kind === "delay" && fault.when === "after") await time.sleep(fault.ms);
    await time.sleep(this.#latencyMs());
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

  async #askFly(call: UpstreamCall, request: Request): Promise<Response> {
    const { simulator, time } = this.options;
    if (call.action === "app-create") {
      await this.#letStrangerTake((await request.clone().json()).name);
    }
    if (call.fault.kind === "silent-region") return await this.#askWithoutRegion(request);
    if (call.action === "start") return await this.#askToStart(call.subject ?? "", request);
    if (call.action !== "create") return await buffered(await simulator.fetch(request));
    const fault = this.#machineFault();
    const name = call.subject ?? "";
    const { region } = await request.clone().json() as { region: string };
    if (fault.kind === "no-capacity") simulator.setCapacity(region, false, fault.variant);
    else if (fault.kind !== "starts" && fault.kind !== "killed") {
      simulator.addFault({ match: { action: "create", machineName: name }, do: fault });
    }
    const response = await buffered(await simulator.fetch(request));
    simulator.clearFaults();
    if (fault.kind === "no-capacity") simulator.setCapacity(region, true);
    if (fault.kind === "killed" && response.ok) {
      time.sleep(fault.afterMs).then(() => this.kill(name));
    }
    return response;
  }

  /** A machine that stands by: its host may be full by now, or its program fail. */
  async #askToStart(id: string, request: Request): Promise<Response> {
    const { simulator, schedule } = this.options;
    const fault = (this.faulty && schedule.startFaults[this.startFaults.length]) ||
      { kind: "starts" as const };
    if (this.faulty) this.startFaults.push(fault);
    if (fault.kind === "no-room" && simulator.machine(id)) {
      simulator.operator.setHost(id, { noRoom: "memory" });
    } else if (fault.kind !== "starts" && fault.kind !== "no-room") {
      simulator.addFault({ match: { action: "start" }, do: fault });
    }
    const response = await buffered(await simulator.fetch(request));
    simulator.clearFaults();
    return response;
  }

  /** One region does not answer Fly.io itself, and is missing from its lists. */
  async #askWithoutRegion(request: Request): Promise<Response> {
    const { simulator: { world }, simulator } = this.options;
    const [region = ""] = world.regions.codes();
    world.regions.setAnswers(region, false);
    try {
      return await buffered(await simulator.fetch(request));
    } finally {
      // Also when the caller gave up waiting.
      world.regions.setAnswers(region, true);
    }
  }

  /** A stranger may have the name of the new app first, and of its network and its machine too. */
  async #letStrangerTake(name: string): Promise<void> {
    const { simulator, schedule } = this.options;
    const takes = schedule.settings.strangersTake.includes(this.#appCreates++);
    if (!takes || simulator.world.app(name)) return;
    simulator.addApp(name, STRANGERS, name);
    this.strangerApps.push(name);
    simulator.setToken({ token: STRANGERS_TOKEN, organization: STRANGERS });
    await createMachine(simulator, STRANGERS_TOKEN, { app: name, name, config: {} });
    const machine = simulator.machines().find(({ app }) => app === name);
    if (machine) this.strangerMachines.push(machine.id);
  }

  /** Takes the schedule's next one. */
  #machineFault(): ScheduledMachineFault {
    const { machineFaults } = this.options.schedule;
    const fault = (this.faulty && machineFaults[this.#creates++]) ||
      { kind: "starts" as const };
    this.machineFaults.push(fault);
    return fault;
  }

  /** Destroys the machine behind the function's back, if it still lives. */
  kill(idOrName: string): void {
    const { simulator } = this.options;
    const machine = simulator.machine(idOrName);
    if (!machine?.live) return;
    simulator.killMachine(machine.id);
    this.killed.add(machine.id);
  }

  #latencyMs(): number {
    const { latenciesMs } = this.options.schedule;
    if (!this.faulty || latenciesMs.length === 0) return 0;
    return latenciesMs[this.#latencies++ % latenciesMs.length] ?? 0;
  }
}

async function buffered(response: Response): Promise<Response> {
  return new Response(await response.arrayBuffer(), response);
}

/** So that each length to which a text of an upstream is cut, 300 to 2,400, some time hits a secret. */
function paddingOf(number: number): number {
  return 250 + (number * 17) % 2_250;
}
