/** Everything that exists in the simulated Fly.io. */
import type { Clock } from "../../clock.ts";
import { machineNotFound } from "../api/errors.ts";
import { draw, type Duration, type FlySettings } from "../control/settings.ts";
import { Addresses } from "./addresses.ts";
import { type App, Apps } from "./apps.ts";
import { destroy } from "./lifecycle.ts";
import { Images } from "./images.ts";
import type { Machine } from "./machine.ts";
import { type Organization, Organizations } from "./organizations.ts";
import type { Random } from "./random.ts";
import type { Regions } from "./regions.ts";
import { Secrets } from "./secrets.ts";
import type { Tokens } from "./tokens.ts";

export type { App } from "./apps.ts";

/** What a world is built from. */
export interface WorldParts {
  clock: Clock;
  random: Random;
  regions: Regions;
  tokens: Tokens;
  settings: FlySettings;
}

export class World {
  settings: FlySettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly regions: Regions;
  readonly tokens: Tokens;
  readonly organizations = new Organizations();
  /** App names, deletions and idempotency keys. */
  readonly appRegistry: Apps;
  readonly addresses: Addresses;
  readonly secrets = new Secrets();
  readonly images = new Images();
  readonly #machines = new Map<string, Machine>();
  readonly #machineListeners = new Set<(added: Machine | null) => void>();

  constructor({ clock, random, regions, tokens, settings }: WorldParts) {
    this.clock = clock;
    this.random = random;
    this.regions = regions;
    this.tokens = tokens;
    this.settings = settings;
    this.appRegistry = new Apps(random);
    this.addresses = new Addresses(random);
  }

  now(): number {
    return this.clock.now();
  }

  draw(duration: Duration): number {
    return draw(duration, this.random);
  }

  /** One of these at random. */
  pick<T>(first: T, ...others: readonly T[]): T {
    const all = [first, ...others];
    return all[Math.floor(this.random() * all.length)] ?? first;
  }

  /** The app of this name, unless it is gone. */
  app(name: string): App | undefined {
    return this.appRegistry.find(name, this.now());
  }

  /** Every app that is not gone, oldest first. */
  apps(): App[] {
    return this.appRegistry.all(this.now());
  }

  /** An app that has always been there. */
  addApp(name: string, organization: string, network = "default"): App {
    // Also on a clock that a test sets back.
    const always = { readableAtMs: 0, listedAtMs: 0 };
    return this.#enterApp({ name, organization, network, createdAtMs: this.now(), ...always });
  }

  /** A new app: it takes a while until reads find it. */
  createApp(name: string, organization: string, network: string): App {
    const now = this.now();
    const { newAppDelayMs, newAppListDelayMs } = this.settings;
    return this.#enterApp({
      name,
      organization,
      network,
      createdAtMs: now,
      readableAtMs: now + this.draw(newAppDelayMs),
      listedAtMs: now + this.draw(newAppListDelayMs),
    });
  }

  /** Deletes an app with its Machines and addresses. The name stays taken for a while. */
  deleteApp(app: App): void {
    const now = this.now();
    for (const machine of this.machines(app.name)) {
      if (machine.live(now)) destroy(machine, now, this.draw(this.settings.destroyDelayMs));
    }
    this.addresses.removeAllOf(app.id);
    const goneAtMs = now + this.draw(this.settings.appDeleteDelayMs);
    const nameFreeAtMs = Math.max(goneAtMs, now + this.settings.deletedAppNameHeldMs);
    app.deletion = { acceptedAtMs: now, goneAtMs, nameFreeAtMs };
  }

  /** The organization that the app is in. */
  organizationOf(app: string): Organization {
    return this.organizations.get(this.app(app)?.organization ?? "personal");
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

  /** The Machines of an app that may bill. */
  liveMachines(app: string): Machine[] {
    const now = this.now();
    return this.machines(app).filter((machine) => machine.live(now));
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

  /** Empties the world; tokens go back to those of the beginning. */
  clear(): void {
    this.#machines.clear();
    for (const listener of [...this.#machineListeners]) listener(null);
    this.appRegistry.clear();
    this.addresses.clear();
    this.secrets.clear();
    this.organizations.clear();
    this.images.clear();
    this.regions.reset();
    this.tokens.reset();
  }

  #enterApp(app: Parameters<Apps["add"]>[0]): App {
    this.organizations.get(app.organization).networks.add(app.network);
    return this.appRegistry.add(app);
  }
}
