/** Runs one schedule to its end and returns everything that can be seen of it. */
import { FlySimulator, type MachineRecord, seededRandom } from "../../dev/stack/fly/mod.ts";
import { SimulatedIsolate } from "./simulated-isolate.ts";
import type { EventRow, MachineRow, PoolEntry } from "../invariants/evidence.ts";
import type { RowVersion } from "./model-database.ts";
import { Network, type UpstreamCall } from "./network.ts";
import { Callers, type FunctionRequest, isQuiet, type ReconcileCounts } from "./callers.ts";
import { addForeigners, type Foreigners, STRANGERS } from "./foreign-machines.ts";
import type { ScheduledMachineFault } from "./draw-faults.ts";
import { OtherInstallation } from "./other-installation.ts";
import { environmentOf, POOL_SIZE, PROMPT_READS, READ_SETTINGS } from "./settings.ts";
import { ISOLATES, type Operation, type Schedule } from "./schedule.ts";
import { addMachinesWithoutRow, rewriteMetadata } from "./upsets.ts";
import { VirtualClock } from "../../dev/stack/clock.ts";
import { type LogLine, type ModelWorld, userId } from "./model-world.ts";
import { FLY_APPS, REGIONS } from "./upstreams.ts";

/** Longer than any request, wait, lease or late call of a schedule. */
const LONG_MS = 15 * 60_000;
/** Between two runs of reconcile, as its cron job has it, and a little for the clock's sake. */
const RECONCILE_EVERY_MS = 61_000;
/** Reconcile must come to rest within this many runs. */
const MAX_RECONCILE_RUNS = 12;
/** One makes the machines of the pool, the other finds them standing by. */
export const WARM_UP_RUNS = 2;

export interface Observation {
  schedule: Schedule;
  requests: FunctionRequest[];
  calls: UpstreamCall[];
  /** Names of the isolates that crashed or were shut down. */
  endedIsolates: string[];
  killed: Set<string>;
  /** What was drawn for each create that arrived. */
  machineFaults: ScheduledMachineFault[];
  /** Whether every request was answered or lost with its isolate, and all background work ended. */
  settled: boolean;
  /** The rows after the first run of reconcile without faults. */
  rowsAfterOneRun: MachineRow[];
  /** What each run of reconcile after the faults did; null when it failed. */
  reconcileRuns: (ReconcileCounts | null)[];
  versions: RowVersion[];
  rows: MachineRow[];
  /** The warm pool at the end, the names of all that ever were in it, and its size. */
  pool: PoolEntry[];
  pooledNames: string[];
  poolSize: number;
  events: EventRow[];
  databaseText: string;
  machines: MachineRecord[];
  foreignIds: string[];
  /** Every app that exists at the end. */
  apps: string[];
  /** Apps that are not this project's. */
  foreignApps: string[];
  /** What the alert webhook was sent. */
  alerts: string[];
  lines: LogLine[];
  unhandled: unknown[];
  /** How far time got, in milliseconds since the schedule's begin. */
  virtualMs: number;
}

/** Never rejects because of what the function does; see `violations` for a judgement. */
export async function runSchedule(world: ModelWorld, schedule: Schedule): Promise<Observation> {
  const time = new VirtualClock();
  const hasOther = schedule.operations.some(({ kind }) => kind === "other-reconcile");
  const other = hasOther ? await world.otherInstallation() : null;
  return await world.during(time, () => new Run(world, schedule, time, other).observe());
}

class Run {
  readonly #simulator: FlySimulator;
  readonly #network: Network;
  readonly #caller: Callers;
  readonly #isolates: SimulatedIsolate[] = [];
  readonly #random;
  readonly #everyIsolate: SimulatedIsolate[] = [];
  /** What belongs to others, or has to be left to an operator. */
  #foreign: Foreigners = { machineIds: [], apps: [] };

  constructor(
    private readonly world: ModelWorld,
    private readonly schedule: Schedule,
    private readonly time: VirtualClock,
    private readonly other: OtherInstallation | null,
  ) {
    this.#random = seededRandom(schedule.seed);
    this.#simulator = new FlySimulator({
      clock: time,
      random: seededRandom(schedule.seed + 1),
      tokens: [
        world.flyToken,
        ...(schedule.settings.strangers === "reached"
          ? [{ token: world.flyToken, organization: STRANGERS }]
          : []),
      ],
      apps: FLY_APPS,
      regions: REGIONS,
      settings: {
        foreignApp: schedule.settings.strangers === "hidden" ? 404 : 403,
        startDelayMs: schedule.settings.startDelayMs,
        ...READ_SETTINGS[schedule.settings.reads],
        ...(schedule.settings.rateLimits ? {} : { rateLimits: null }),
      },
    });
    const { database } = world;
    this.#network = new Network({ schedule, time, simulator: this.#simulator, database });
    this.#caller = new Callers(world, time);
  }

  async observe(): Promise<Observation> {
    const { time, world, schedule } = this;
    const startedAt = time.now();
    const foreign = await addForeigners(this.#simulator, world);
    this.#foreign = foreign;
    await this.#warmUp();
    const operating = this.#operate();
    let operated = false;
    operating.then(() => operated = true);
    const settled = await time.runUntil(
      () => operated && this.#caller.idle && this.#isolates.every((i) => i.background.size === 0),
      startedAt + schedule.operations.length * 200_000 + LONG_MS,
    );
    this.#network.faulty = false;
    this.#simulator.configure(PROMPT_READS);
    // Calls that are still on their way land, machines that will fail do.
    await time.runUntil(() => false, time.now() + LONG_MS);
    time.jump(LONG_MS);

    const reconcileRuns: (ReconcileCounts | null)[] = [];
    let rowsAfterOneRun: MachineRow[] = [];
    for (let quietRuns = 0; quietRuns < 2 && reconcileRuns.length < MAX_RECONCILE_RUNS;) {
      const counts = await this.#reconcile();
      await time.run(this.#reconcileOther());
      if (reconcileRuns.length === 0) rowsAfterOneRun = await world.database.rows();
      reconcileRuns.push(counts);
      const quiet = counts !== null && isQuiet(counts);
      quietRuns = quiet ? quietRuns + 1 : 0;
      time.jump(RECONCILE_EVERY_MS);
    }
    return {
      schedule,
      requests: this.#caller.requests,
      calls: this.#network.calls,
      endedIsolates: this.#everyIsolate.filter(({ alive }) => !alive).map(({ name }) => name),
      killed: this.#network.killed,
      machineFaults: this.#network.machineFaults,
      settled,
      rowsAfterOneRun,
      reconcileRuns,
      versions: await world.database.versions(),
      rows: await world.database.rows(),
      pool: await world.database.pool(),
      pooledNames: await world.database.pooledNames(),
      poolSize: this.#hasPool ? POOL_SIZE : 0,
      events: await world.database.events(),
      databaseText: await world.database.allText(),
      machines: this.#simulator.machines(),
      foreignIds: [...foreign.machineIds, ...this.#network.strangerMachines],
      apps: this.#simulator.world.apps().filter(({ deletion }) => !deletion).map(({ name }) =>
        name
      ),
      foreignApps: [...foreign.apps, ...this.#network.strangerApps],
      alerts: this.#network.alerts,
      lines: world.lines.filter(({ line }) => !OtherInstallation.printed(line)),
      unhandled: world.unhandled,
      virtualMs: time.now() - startedAt,
    };
  }

  get #hasPool(): boolean {
    const { hosting, pool } = this.schedule.settings;
    return hosting !== "shared" && pool !== "none";
  }

  /** A schedule with a pool begins with one that is ready: without faults so far. */
  async #warmUp(): Promise<void> {
    if (!this.#hasPool) return;
    this.#network.faulty = false;
    for (let runs = 0; runs < WARM_UP_RUNS; runs++) {
      await this.#reconcile();
      this.time.jump(RECONCILE_EVERY_MS);
    }
    this.#network.faulty = true;
  }

  async #operate(): Promise<void> {
    for (const operation of this.schedule.operations) {
      await this.time.sleep(operation.afterMs);
      await this.#perform(operation);
    }
  }

  /** Begins the operation; the next does not wait for its answer. */
  async #perform(operation: Operation): Promise<void> {
    const isolate = this.#isolate(operation.isolate);
    switch (operation.kind) {
      case "provision":
        return this.#caller.provision(isolate, operation);
      case "destroy": {
        const rows = await this.#sql<MachineRow>("select * from public.cloud_machines order by id");
        const row = operation.machine === null ? undefined : rows[operation.machine % rows.length];
        return this.#caller.destroy(isolate, operation, row?.machine_id ?? unknownName(operation));
      }
      case "reconcile":
        return this.#caller.reconcile(isolate);
      case "delete-user":
        await this.#sql("delete from auth.users where id = $1", [userId(operation.user)]);
        return;
      case "kill": {
        const living = this.#simulator.liveMachines().filter(({ id }) =>
          ![...this.#foreign.machineIds, ...this.#network.strangerMachines].includes(id)
        );
        const machine = living[operation.machine % living.length];
        if (machine) this.#network.kill(machine.id);
        return;
      }
      case "other-reconcile":
        return await this.#reconcileOther();
      case "tamper":
        return rewriteMetadata(this.#simulator, operation);
      case "restore": {
        const added = await addMachinesWithoutRow(this.#simulator, this.world, this.schedule);
        this.#foreign.machineIds.push(...added.machineIds);
        this.#foreign.apps.push(...added.apps);
        return;
      }
      case "shutdown":
        isolate.shutDown();
        return;
    }
  }

  async #reconcileOther(): Promise<void> {
    const { world, time, schedule: { settings } } = this;
    await this.other?.reconcile({
      settings,
      env: world.environment(),
      firstKey: world.database.stack.secretKey,
      time,
      simulator: this.#simulator,
    });
  }

  async #reconcile(): Promise<ReconcileCounts | null> {
    const { time } = this;
    this.#caller.reconcile(this.#isolate(0));
    await time.runUntil(() => this.#caller.idle, time.now() + LONG_MS);
    return this.#caller.lastReconcile();
  }

  /** The isolate of this number; a fresh one if it has ended. */
  #isolate(index: number): SimulatedIsolate {
    const current = this.#isolates[index % ISOLATES];
    if (current?.alive) return current;
    const { settings } = this.schedule;
    const fresh = new SimulatedIsolate({
      name: `isolate ${this.#everyIsolate.length}`,
      env: {
        ...this.world.environment(),
        ...environmentOf(settings),
      },
      time: this.time,
      random: this.#random,
      carry: this.#network.carry,
    });
    this.#isolates[index % ISOLATES] = fresh;
    this.#everyIsolate.push(fresh);
    return fresh;
  }

  #sql<T extends object>(query: string, params?: unknown[]): Promise<T[]> {
    return this.time.track(this.world.database.sql<T>(this.time, query, params));
  }
}

/** No machine's name: one that could be, one that Postgres cannot store, one that is no name. */
function unknownName({ user }: Extract<Operation, { kind: "destroy" }>): string {
  return ["machine-unknown", "machine-%00", "-%F0%9F%92%A5"][user] ?? "machine-unknown";
}
