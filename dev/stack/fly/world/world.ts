/** Everything that exists in the simulated Fly.io. */
import type { Clock } from "../../clock.ts";
import { machineNotFound } from "../api/errors.ts";
import { appId } from "./identifiers.ts";
import type { Machine } from "./machine.ts";
import type { Random } from "./random.ts";
import type { Regions } from "./regions.ts";
import { draw, type Duration, type FlySettings } from "../control/settings.ts";

export interface App {
  id: string;
  name: string;
  organization: string;
  network: string;
}

/** Everything that exists in the simulated Fly.io: apps and Machines, the destroyed ones included. */
export class World {
  settings: FlySettings;
  readonly #apps = new Map<string, App>();
  readonly #machines = new Map<string, Machine>();
  readonly #machineListeners = new Set<(added: Machine | null) => void>();

  constructor(
    readonly clock: Clock,
    readonly random: Random,
    readonly regions: Regions,
    settings: FlySettings,
  ) {
    this.settings = settings;
  }

  now(): number {
    return this.clock.now();
  }

  draw(duration: Duration): number {
    return draw(duration, this.random);
  }

  app(name: string): App | undefined {
    return this.#apps.get(name);
  }

  apps(): App[] {
    return [...this.#apps.values()];
  }

  addApp(name: string, organization: string, network = "default"): App {
    const app = { id: appId(this.random), name, organization, network };
    this.#apps.set(name, app);
    return app;
  }

  removeApp(name: string): void {
    this.#apps.delete(name);
  }

  addMachine(machine: Machine): void {
    this.#machines.set(machine.identity.id, machine);
    for (const listener of [...this.#machineListeners]) listener(machine);
  }

  /**
   * Calls back with each Machine that is added, and with null when all are removed. The returned
   * function ends that.
   */
  onMachines(listener: (added: Machine | null) => void): () => void {
    this.#machineListeners.add(listener);
    return () => this.#machineListeners.delete(listener);
  }

  /** Every Machine ever created, oldest first. */
  machines(app?: string): Machine[] {
    const all = [...this.#machines.values()];
    return app === undefined ? all : all.filter(({ identity }) => identity.app === app);
  }

  /** The Machine with this id, or else the youngest with this name. */
  findMachine(idOrName: string): Machine | undefined {
    return this.#machines.get(idOrName) ??
      this.machines().findLast(({ identity }) => identity.name === idOrName);
  }

  /** The Machine that holds this name in the app: a name is free again once its Machine is destroyed. */
  nameHolder(app: string, name: string): Machine | undefined {
    const now = this.now();
    return this.machines(app).find((machine) =>
      machine.identity.name === name && machine.state(now) !== "destroyed"
    );
  }

  /**
   * The Machine with this id, even if it is long gone.
   *
   * @throws {FlyRefusal} 404 when it never was or belongs to another app.
   */
  anyMachine(app: string | null, id: string | null): Machine {
    const machine = id === null ? undefined : this.#machines.get(id);
    if (machine === undefined || machine.identity.app !== app) throw machineNotFound();
    return machine;
  }

  /**
   * The Machine as the API finds it.
   *
   * @throws {FlyRefusal} 404 when it never was, belongs to another app, or is gone.
   */
  visibleMachine(app: string | null, id: string | null): Machine {
    const machine = this.anyMachine(app, id);
    const now = this.now();
    const gone = machine.state(now) === "destroyed" &&
      now >= machine.since(now) + this.settings.getAfterDestroyMs;
    if (gone) throw machineNotFound();
    return machine;
  }

  removeAllMachines(): void {
    this.#machines.clear();
    for (const listener of [...this.#machineListeners]) listener(null);
  }
}
