/** Everything that can be seen of a batch once it is over. */
import type { FlySimulator, Transition } from "../../dev/stack/fly/mod.ts";
import type { EventRow } from "../invariants/evidence.ts";
import type { Foreigners } from "../model/foreign-machines.ts";
import type { LogLine, ModelWorld } from "../model/model-world.ts";
import type { LifeCallers, LifeRequest } from "./callers.ts";
import type { Deed, Happenings } from "./happenings.ts";
import type { Batch } from "./life.ts";
import type { LifeCall, LifeNetwork } from "./network.ts";
import { readVersions, type RowVersion } from "./row-versions.ts";

export interface ReconcileRun {
  number: number;
  request: LifeRequest;
}

/** A Fly machine and its whole history. */
export interface LivedMachine {
  id: string;
  name: string;
  app: string;
  region: string;
  createdAtMs: number;
  history: Transition[];
  /** How far behind reads of it are at most. */
  lagMs: number;
  getLagMs: number;
}

/** Of a machine by its name: how long it ran and was stopped, from `machine_usage`. */
export interface Usage {
  machineId: string;
  runningMs: number;
  stoppedMs: number;
}

export interface Observation {
  batch: Batch;
  startMs: number;
  /** When the last event was over and all faults ended. */
  calmAtMs: number;
  virtualMs: number;
  requests: LifeRequest[];
  runs: ReconcileRun[];
  /** How many runs reconcile took to come to rest; null: it did not. */
  calmRuns: number | null;
  /** Whether every request was answered and all background work ended. */
  settled: boolean;
  calls: LifeCall[];
  deeds: Deed[];
  versions: RowVersion[];
  events: EventRow[];
  /** What the ledger says at the end, machine by machine. */
  usage: Usage[];
  /** Ours, not those of others. */
  machines: LivedMachine[];
  /** Machines and apps of others that are gone. */
  touched: string[];
  /** Apps that exist at the end, without those of others. */
  apps: string[];
  lines: LogLine[];
  unhandled: unknown[];
  endedIsolates: string[];
  databaseText: string;
}

/** A broken invariant. */
export interface Violation {
  /** Which life of the batch it is about; null for what belongs to no life. */
  life: number | null;
  /** One sentence, beginning with the invariant. */
  text: string;
}

interface Sources extends
  Pick<
    Observation,
    | "batch"
    | "startMs"
    | "calmAtMs"
    | "virtualMs"
    | "runs"
    | "calmRuns"
    | "settled"
    | "endedIsolates"
  > {
  world: ModelWorld;
  simulator: FlySimulator;
  network: LifeNetwork;
  callers: LifeCallers;
  happenings: Happenings;
  foreign: Foreigners;
}

export async function observe(sources: Sources): Promise<Observation> {
  const { world, simulator, network, callers, happenings, foreign, ...plain } = sources;
  const now = simulator.world.now();
  const machines = simulator.world.machines();
  const apps = simulator.world.apps().filter(({ deletion }) => !deletion).map(({ name }) => name);
  const foreignMachines = machines.filter(({ identity: { id } }) =>
    foreign.machineIds.includes(id)
  );
  return {
    ...plain,
    requests: callers.requests,
    calls: network.calls,
    deeds: happenings.deeds,
    versions: await readVersions(world.database),
    events: await world.database.events(),
    usage: await world.database.usage(),
    machines: machines.filter((machine) => !foreignMachines.includes(machine)).map((machine) => {
      const { id, name, app, region, createdAtMs, readDelays } = machine.identity;
      const history = machine.history(now);
      const { get, list, organizationList } = readDelays;
      const lagMs = Math.max(get, list, organizationList);
      return { id, name, app, region, createdAtMs, history, lagMs, getLagMs: get };
    }),
    touched: [
      ...foreignMachines.filter((machine) =>
        !machine.live(now) && apps.includes(machine.identity.app)
      ).map(({ identity }) => identity.name),
      ...foreign.apps.filter((name) => !apps.includes(name)),
    ],
    apps: apps.filter((name) => !foreign.apps.includes(name)),
    lines: world.lines,
    unhandled: world.unhandled,
    databaseText: await world.database.allText(),
  };
}
