/** The simulator as a program holds it: its API, and everything that happens behind the API's back. */
import { type Clock, systemClock } from "../../clock.ts";
import type { MachineFault } from "../../faults.ts";
import { Calls } from "../api/calls.ts";
import { RateLimiter } from "../api/rate-limit.ts";
import type { App } from "../world/apps.ts";
import { destroy, fail, stop } from "../world/lifecycle.ts";
import type { Random } from "../world/random.ts";
import { type CapacityVariant, FLY_REGIONS, Regions } from "../world/regions.ts";
import type { FlyRequestRecord, MachineRecord } from "../world/types.ts";
import { type Token, Tokens } from "../world/tokens.ts";
import { World } from "../world/world.ts";
import { type Delivery, toResponse } from "./delivery.ts";
import { type FlyFaultRule, FlyFaults, type PendingFlyFault } from "./fault-rules.ts";
import { CallLog } from "./call-log.ts";
import { Operator } from "./operator.ts";
import { DEFAULT_SETTINGS, type FlySettings } from "./settings.ts";

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
  settings?: Partial<FlySettings>;
}

/** How a Machine's main process ends when a test makes it fail. */
export type Failure = Omit<Extract<MachineFault, { kind: "fails" }>, "kind" | "afterMs">;

/**
 * A Fly.io Machines API that keeps state. It works in process through `fetch` and over HTTP through
 * `serveFlySimulator`; README.md lists what it models. The other methods are what a test can do and
 * see behind the API's back; the control endpoint offers them over HTTP.
 *
 * ```ts
 * const simulator = new FlySimulator({ apps: ["demo"], tokens: ["token"] });
 * simulator.addFault({ match: { action: "create" }, do: { kind: "reset", when: "after" } });
 * await simulator.fetch(new Request("https://api.machines.dev/v1/apps/demo/machines", { … }));
 * ```
 */
export class FlySimulator {
  /** Everything that exists; for parts of the simulator. */
  readonly world: World;
  /** What happens to Machines behind the API's back, beside the methods below. */
  readonly operator: Operator;
  readonly #faults = new FlyFaults();
  readonly #log = new CallLog();
  readonly #limiter = new RateLimiter();
  readonly #calls: Calls;
  readonly #initialApps: readonly string[];
  readonly #initialSettings: FlySettings;

  constructor(options: FlySimulatorOptions = {}) {
    this.#initialSettings = { ...DEFAULT_SETTINGS, ...options.settings };
    this.#initialApps = options.apps ?? ["demo"];
    this.world = new World({
      clock: options.clock ?? systemClock,
      random: options.random ?? Math.random,
      regions: new Regions(options.regions ?? FLY_REGIONS),
      tokens: new Tokens(
        (options.tokens ?? [DEFAULT_TOKEN]).map((token) =>
          typeof token === "string" ? { token } : token
        ),
      ),
      settings: this.#initialSettings,
    });
    this.operator = new Operator(this.world);
    this.#addInitialApps();
    this.#calls = new Calls({
      world: this.world,
      faults: this.#faults,
      log: this.#log,
      limiter: this.#limiter,
      edgeRegion: options.edgeRegion ?? "iad",
    });
  }

  /**
   * Answers one request, as `fetch` would: a reset throws a TypeError, half an answer breaks while its
   * body is read, and an aborted `request.signal` rejects at once, while the call itself goes on behind
   * the caller's back as on a real server.
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

  /** Answers one request with what goes over the wire. Never rejects for a fault. */
  handle(request: Request): Promise<Delivery> {
    return this.#calls.handle(request);
  }

  /** How many calls are under way. A call whose caller left may still be among them. */
  get callsInFlight(): number {
    return this.#calls.inFlight;
  }

  /**
   * Ends every call under way without an answer, so that no timer is left; the simulator itself stays
   * usable. Call it at the end of a test that left calls behind.
   */
  async abandonCalls(): Promise<void> {
    await this.#calls.abandon();
  }

  get settings(): FlySettings {
    return structuredClone(this.world.settings);
  }

  /** Changes some settings, for everything that begins from now on. Returns all of them. */
  configure(settings: Partial<FlySettings>): FlySettings {
    this.world.settings = { ...this.world.settings, ...settings };
    return this.settings;
  }

  /**
   * Adds a fault at the end of the list; each matching call takes the first that is left.
   *
   * @returns its id.
   * @throws {z.ZodError} naming what is wrong with it.
   */
  addFault(rule: FlyFaultRule): number {
    return this.#faults.add(rule);
  }

  /** The faults that can still be applied; an empty list proves that all were. */
  pendingFaults(): PendingFlyFault[] {
    return this.#faults.pending();
  }

  clearFaults(): void {
    this.#faults.clear();
  }

  /**
   * Fills a region or gives it room again.
   *
   * @param variant How a full region says so; `422-status` by default.
   * @throws {RangeError} when no such region exists.
   */
  setCapacity(region: string, capacity: boolean, variant?: CapacityVariant): void {
    this.world.regions.setCapacity(region, capacity, variant);
  }

  /** Adds an app without addresses, as if it had always been there; also one of strangers. */
  addApp(name: string, organization = "personal", network?: string): App {
    return this.world.addApp(name, organization, network);
  }

  /** Adds a token, or replaces the one of the same text. */
  setToken(token: Token): void {
    this.world.tokens.set(token);
  }

  /** Every Machine ever created, oldest first, the destroyed ones included. */
  machines(): MachineRecord[] {
    const now = this.world.now();
    return this.world.machines().map((machine) => machine.record(now));
  }

  /** The Machines that are neither destroyed nor being destroyed: those that may bill. */
  liveMachines(): MachineRecord[] {
    return this.machines().filter(({ live }) => live);
  }

  /** The Machine with this id, or else the youngest with this name. */
  machine(idOrName: string): MachineRecord | undefined {
    return this.world.findMachine(idOrName)?.record(this.world.now());
  }

  /** Every call to the API so far, in order of arrival. */
  requests(): FlyRequestRecord[] {
    return this.#log.records();
  }

  clearRequests(): void {
    this.#log.clear();
  }

  /**
   * A Machine's main process ends on its own.
   *
   * @throws {RangeError} when there is no such live Machine.
   */
  failMachine(idOrName: string, failure: Failure = {}): MachineRecord {
    const machine = this.operator.liveMachine(idOrName);
    const now = this.world.now();
    fail(machine, now, now, failure, this.#destroyDelayMs());
    return machine.record(now);
  }

  /**
   * Destroys a Machine behind the caller's back, as `fly machine destroy --force` does.
   *
   * @throws {RangeError} when there is no such live Machine.
   */
  killMachine(idOrName: string): MachineRecord {
    const machine = this.operator.liveMachine(idOrName);
    const now = this.world.now();
    destroy(machine, now, this.#destroyDelayMs());
    return machine.record(now);
  }

  /**
   * Stops a Machine behind the caller's back, as `fly machine stop` does.
   *
   * @throws {RangeError} when there is no such live Machine.
   */
  stopMachine(idOrName: string): MachineRecord {
    const machine = this.operator.liveMachine(idOrName);
    const now = this.world.now();
    stop(machine, now, this.world.draw(this.world.settings.stopDelayMs));
    return machine.record(now);
  }

  /** Back to how it was built: initial apps and settings, no Machines, faults, full regions or log. */
  reset(): void {
    this.world.clear();
    this.world.settings = this.#initialSettings;
    this.#addInitialApps();
    this.#faults.clear();
    this.#limiter.reset();
    this.#log.clear();
  }

  #addInitialApps(): void {
    for (const name of this.#initialApps) this.world.addApp(name, "personal");
  }

  #destroyDelayMs(): number {
    return this.world.draw(this.world.settings.destroyDelayMs);
  }
}
