/** Lives a batch of lives to their end and returns everything that can be seen of it. */
import { VirtualClock } from "../../dev/stack/clock.ts";
import { FlySimulator, seededRandom } from "../../dev/stack/fly/mod.ts";
import { addForeigners, type Foreigners } from "../model/foreign-machines.ts";
import { type ModelWorld, userId } from "../model/model-world.ts";
import { SimulatedIsolate } from "../model/simulated-isolate.ts";
import { FLY_APPS, REGIONS } from "../model/upstreams.ts";
import { LifeCallers, type LifeRequest } from "./callers.ts";
import { Conditions } from "./conditions.ts";
import { Happenings } from "./happenings.ts";
import type { Batch, LifeEvent } from "./life.ts";
import { LifeNetwork, type Work } from "./network.ts";
import { type Observation, observe, type ReconcileRun } from "./observation.ts";
import { environmentOf, flySettingsOf, PROMPT } from "./settings.ts";

/** As its cron job has it, and a little for the clock's sake. */
const RECONCILE_EVERY_MS = 61_000;
/** Longer than any request and any late call. */
const LANDED_AFTER_MS = 150_000;
/** Once all is well, reconcile must come to rest within so many runs that find something to do. */
const MAX_BUSY_RUNS = 14;
/** A row that failed often comes back after a growing pause, of an hour at most. */
const MAX_CALM_RUNS = 75;
const OPERATOR_TOKEN = "operator-token";

/** Never rejects because of what the function does; see `violations` for a judgement. */
export async function runBatch(world: ModelWorld, batch: Batch): Promise<Observation> {
  const time = new VirtualClock();
  return await world.during(time, () => new BatchRun(world, batch, time).observe());
}

class BatchRun {
  readonly #simulator: FlySimulator;
  readonly #conditions: Conditions;
  readonly #network: LifeNetwork;
  readonly #callers: LifeCallers;
  readonly #happenings: Happenings;
  readonly #random;
  readonly #isolates = new Map<string, SimulatedIsolate>();
  readonly #everyIsolate: SimulatedIsolate[] = [];
  readonly #runs: ReconcileRun[] = [];
  #foreign: Foreigners = { machineIds: [], apps: [] };

  constructor(
    private readonly world: ModelWorld,
    private readonly batch: Batch,
    private readonly time: VirtualClock,
  ) {
    const { settings, weather, seed } = batch;
    this.#random = seededRandom(seed);
    this.#simulator = new FlySimulator({
      clock: time,
      random: seededRandom(seed + 1),
      tokens: [world.flyToken, OPERATOR_TOKEN],
      apps: FLY_APPS,
      regions: REGIONS,
      settings: flySettingsOf(settings),
    });
    this.#conditions = new Conditions(time, weather, time.now(), seed + 2);
    const { database } = world;
    this.#network = new LifeNetwork({
      time,
      simulator: this.#simulator,
      database,
      conditions: this.#conditions,
      latencyMs: settings.latencyMs,
    });
    this.#callers = new LifeCallers(world, time);
    this.#happenings = new Happenings(this.#simulator, time, OPERATOR_TOKEN);
  }

  async observe(): Promise<Observation> {
    const { time, batch, world } = this;
    const startMs = time.now();
    this.#foreign = await addForeigners(this.#simulator, world);
    this.#changeWeather();
    const living = batch.lives.map(async (life, index) => {
      for (const event of life.events) {
        await time.sleep(startMs + event.atMs - time.now());
        await this.#begin(index, event, life.region);
      }
    });
    const ends = [...batch.lives.flatMap(({ events }) => events), ...batch.weather]
      .map((event) => startMs + event.atMs + ("forMs" in event ? event.forMs : 0));
    const calmAtMs = Math.max(...ends);
    await this.#reconcileUntil(calmAtMs);
    await time.run(Promise.all(living));
    this.#calmDown();
    await this.#reconcileUntil(time.now() + LANDED_AFTER_MS);
    const settled = await time.runUntil(() => this.#idle, time.now() + LANDED_AFTER_MS);
    const calmRuns = await this.#reconcileToRest();
    return await observe({
      batch,
      world,
      simulator: this.#simulator,
      network: this.#network,
      callers: this.#callers,
      happenings: this.#happenings,
      foreign: this.#foreign,
      runs: this.#runs,
      calmRuns,
      settled,
      startMs,
      calmAtMs,
      virtualMs: time.now() - startMs,
      endedIsolates: this.#everyIsolate.filter(({ alive }) => !alive).map(({ name }) => name),
    });
  }

  get #idle(): boolean {
    return this.#callers.idle &&
      this.#everyIsolate.every(({ background }) => background.size === 0);
  }

  #changeWeather(): void {
    const { time, batch } = this;
    const { regions } = this.#simulator.world;
    for (const condition of batch.weather) {
      const { atMs, forMs } = condition;
      if (condition.kind === "silent-region") {
        time.after(atMs, () => regions.setAnswers(condition.region, false));
        time.after(atMs + forMs, () => regions.setAnswers(condition.region, true));
      } else if (condition.kind === "full-region") {
        time.after(atMs, () => this.#simulator.setCapacity(condition.region, false));
        time.after(atMs + forMs, () => this.#simulator.setCapacity(condition.region, true));
      } else if (condition.kind === "app-deleted") {
        const { world } = this.#simulator;
        const app = world.app(FLY_APPS[0]);
        if (app) time.after(atMs, () => world.deleteApp(app));
        this.#foreign.apps = this.#foreign.apps.filter((name) => name !== FLY_APPS[0]);
      }
    }
  }

  /** From now on nothing goes wrong any more. */
  #calmDown(): void {
    this.#conditions.calm = true;
    this.#simulator.clearFaults();
    this.#simulator.configure(PROMPT);
    for (const region of REGIONS) {
      this.#simulator.world.regions.setAnswers(region, true);
      this.#simulator.setCapacity(region, true);
    }
    this.#happenings.healHosts();
  }

  /** Begins the event; the next does not wait for its answer. */
  async #begin(life: number, event: LifeEvent, region: string): Promise<void> {
    switch (event.kind) {
      case "provision":
        this.#callers.provision(this.#isolateOf(life), life, { ...event, region });
        return;
      case "ask":
      case "destroy": {
        const machineId = this.#network.namesOf(life).at(-1);
        if (machineId === undefined) return;
        const isolate = this.#isolateOf(life);
        if (event.kind === "ask") this.#callers.ask(isolate, life, { ...event, machineId });
        else this.#callers.destroy(isolate, life, { ...event, machineId });
        return;
      }
      case "hide":
        return this.#conditions.hide(life, event);
      case "faults":
        return this.#conditions.addFaults(life, event.upstream, event.faults);
      case "delete-user":
        await this.time.track(
          this.world.database.sql(this.time, "delete from auth.users where id = $1", [
            userId(life),
          ]),
        );
        return;
      default:
        await this.#happenings.happen(life, event);
    }
  }

  async #reconcileUntil(atMs: number): Promise<void> {
    while (this.time.now() < atMs) await this.#reconcileAndWait();
  }

  /** Returns how many runs it took until two in a row did nothing and no row waits; null when it never came to rest. */
  async #reconcileToRest(): Promise<number | null> {
    let quiet = 0;
    let busy = 0;
    for (let run = 1; run <= MAX_CALM_RUNS && busy <= MAX_BUSY_RUNS; run++) {
      const { request } = await this.#reconcileAndWait();
      const { answer } = request;
      const did = typeof answer === "object" && answer.status === 200
        ? Object.values(answer.body).some((count) => typeof count === "number" && count > 0)
        : true;
      if (did) busy++;
      quiet = did ? 0 : quiet + 1;
      if (quiet >= 2 && !await this.#isAnyRowDue()) return run;
    }
    return null;
  }

  async #isAnyRowDue(): Promise<boolean> {
    const due = await this.time.track(
      this.world.database.sql(
        this.time,
        "select 1 from cloud_machines where reconcile_at is not null limit 1",
      ),
    );
    return due.length > 0;
  }

  /** Runs reconcile and lets time pass until its next run is due. */
  async #reconcileAndWait(): Promise<ReconcileRun> {
    const { time } = this;
    const nextMs = time.now() + RECONCILE_EVERY_MS;
    const number = this.#runs.length;
    const isolate = this.#isolate("reconcile", { life: null, run: number });
    const request: LifeRequest = this.#callers.reconcile(isolate);
    const run: ReconcileRun = { number, request };
    this.#runs.push(run);
    await time.advance(nextMs - time.now());
    return run;
  }

  #isolateOf(life: number): SimulatedIsolate {
    const current = this.#isolates.get(`life ${life}`);
    return current?.alive ? current : this.#isolate(`life ${life}`, { life, run: null });
  }

  /** A fresh one. */
  #isolate(name: string, work: Work): SimulatedIsolate {
    const isolate = new SimulatedIsolate({
      name: `${name}, isolate ${this.#everyIsolate.length}`,
      env: { ...this.world.environment(), ...environmentOf(this.batch.settings) },
      time: this.time,
      random: this.#random,
      carry: this.#network.carrying(work),
    });
    this.#isolates.set(name, isolate);
    this.#everyIsolate.push(isolate);
    return isolate;
  }
}
