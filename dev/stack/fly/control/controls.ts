import type { PendingFault } from "./faults.ts";
import { type Fault, type Faults } from "./faults.ts";
import { destroy, fail, stop } from "../world/lifecycle.ts";
import type { Machine } from "../world/machine.ts";
import type { RateLimiter } from "../api/rate-limit.ts";
import type { CapacityVariant } from "../world/regions.ts";
import type { RequestLog } from "./request-log.ts";
import type { Settings } from "./settings.ts";
import type { MachineRecord, RequestRecord } from "../world/types.ts";
import type { App, World } from "../world/world.ts";

/** How an operator makes a Machine fail. */
export interface Failure {
  state?: "failed" | "stopped" | "launch_failed" | undefined;
  exitCode?: number | undefined;
  reason?: string | undefined;
}

/**
 * What a test, or an operator, can do and see behind the API's back. The control endpoint offers the
 * same over HTTP.
 */
export class Operator {
  readonly #initialApps: readonly string[];
  readonly #initialSettings: Settings;

  constructor(
    /** Everything that exists; for parts of the simulator. */
    readonly world: World,
    protected readonly faults: Faults,
    protected readonly log: RequestLog,
    protected readonly limiter: RateLimiter,
    initialApps: readonly string[],
  ) {
    this.#initialApps = initialApps;
    this.#initialSettings = world.settings;
    this.#addInitialApps();
  }

  #addInitialApps(): void {
    for (const name of this.#initialApps) this.world.addApp(name, "personal");
  }

  get settings(): Settings {
    return structuredClone(this.world.settings);
  }

  /** Changes some settings, for everything that begins from now on. Returns all of them. */
  configure(settings: Partial<Settings>): Settings {
    this.world.settings = { ...this.world.settings, ...settings };
    return this.settings;
  }

  /**
   * Adds a fault at the end of the list; each matching call takes the first that is left.
   *
   * @returns its id.
   * @throws {z.ZodError} naming what is wrong with it.
   */
  addFault(fault: Fault): number {
    return this.faults.add(fault);
  }

  /** The faults that can still strike. An empty list at the end of a test proves that all struck. */
  pendingFaults(): PendingFault[] {
    return this.faults.pending();
  }

  clearFaults(): void {
    this.faults.clear();
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

  /** Adds an app, as if it had always been there. */
  addApp(name: string, organization = "personal"): App {
    return this.world.addApp(name, organization);
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
  requests(): RequestRecord[] {
    return this.log.records();
  }

  clearRequests(): void {
    this.log.clear();
  }

  /**
   * A Machine's main process ends by itself.
   *
   * @throws {RangeError} when there is no such live Machine.
   */
  failMachine(idOrName: string, failure: Failure = {}): MachineRecord {
    const machine = this.#liveMachine(idOrName);
    const now = this.world.now();
    const { state, exitCode, reason } = failure;
    fail(machine, now, now, {
      ...(state === undefined ? {} : { state }),
      ...(exitCode === undefined ? {} : { exitCode }),
      ...(reason === undefined ? {} : { reason }),
    }, this.#destroyDelayMs());
    return machine.record(now);
  }

  /**
   * Somebody destroys a Machine behind the caller's back, as `fly machine destroy --force` does.
   *
   * @throws {RangeError} when there is no such live Machine.
   */
  killMachine(idOrName: string): MachineRecord {
    const machine = this.#liveMachine(idOrName);
    const now = this.world.now();
    destroy(machine, now, this.#destroyDelayMs());
    return machine.record(now);
  }

  /**
   * Somebody stops a Machine behind the caller's back, as `fly machine stop` does.
   *
   * @throws {RangeError} when there is no such live Machine.
   */
  stopMachine(idOrName: string): MachineRecord {
    const machine = this.#liveMachine(idOrName);
    const now = this.world.now();
    stop(machine, now, this.world.draw(this.world.settings.stopDelayMs));
    return machine.record(now);
  }

  /** Back to how it was built: initial apps and settings, no Machines, faults, full regions or log. */
  reset(): void {
    const { world } = this;
    world.removeAllMachines();
    for (const { name } of world.apps()) world.removeApp(name);
    this.#addInitialApps();
    world.settings = this.#initialSettings;
    world.regions.reset();
    this.faults.clear();
    this.limiter.reset();
    this.log.clear();
  }

  #destroyDelayMs(): number {
    return this.world.draw(this.world.settings.destroyDelayMs);
  }

  #liveMachine(idOrName: string): Machine {
    const machine = this.world.findMachine(idOrName);
    if (machine === undefined || !machine.live(this.world.now())) {
      throw new RangeError(`no live machine "${idOrName}"`);
    }
    return machine;
  }
}
