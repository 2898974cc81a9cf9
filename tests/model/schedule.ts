/** A schedule: everything that one run of the model test does, as plain JSON that can be replayed. */
import fc from "fast-check";
import {
  faultsArbitrary,
  machineFaultsArbitrary,
  type ScheduledFault,
  type ScheduledMachineFault,
  type ScheduledStartFault,
  startFaultsArbitrary,
} from "./draw-faults.ts";

/** How many users there are; each is numbered from 0. */
export const USERS = 3;
/** How many isolates of the function are up at once. */
export const ISOLATES = 2;

/** Bodies of POST: two calls with one key and different bodies are a reused key. */
export const BODIES = [{}, { cpuPriority: "high" }, { region: "lhr" }] as const;

export type Operation =
  & {
    /** Milliseconds after the operation before it began; that one may well be under way. */
    afterMs: number;
    isolate: number;
  }
  & (
    | {
      kind: "provision";
      user: number;
      asService: boolean;
      /** Number of the Idempotency-Key; null sends none. */
      key: number | null;
      body: number;
      async: boolean;
    }
    /** `machine`: which of the rows that exist by then, the oldest being 0; null is an unknown name. */
    | { kind: "destroy"; user: number; asService: boolean; machine: number | null }
    | { kind: "reconcile" }
    | { kind: "delete-user"; user: number }
    /** A living machine is destroyed behind our back. */
    | { kind: "kill"; machine: number }
    /** Root in a machine rewrites the metadata of every machine of its app. */
    | { kind: "tamper"; erase: boolean }
    /** The database is restored from a backup that is older than many machines. */
    | { kind: "restore" }
    /** Reconcile of another installation in the same organisation, app and token. */
    | { kind: "other-reconcile" }
    /** The platform announces the isolate's end, and ends it two seconds later. */
    | { kind: "shutdown" }
  );

/** How far what Fly.io says of machines can be trusted; see the simulator's settings of reads. */
export const READS = ["prompt", "behind", "flickering"] as const;

/** As 403, as 404, or as apps: a person's own token may reach another organisation too. */
export const STRANGERS_SEEN = ["forbidden", "hidden", "reached"] as const;

/** Where machines live, and how they are reached. */
export const HOSTINGS = ["shared", "own-app", "own-app behind a router"] as const;

/** Whether machines stand by, which takes apps of their own, and how. */
export const POOLS = ["none", "stopped", "started"] as const;

export interface ScheduleSettings {
  hosting: typeof HOSTINGS[number];
  pool: typeof POOLS[number];
  reads: typeof READS[number];
  /** Which app creates, the first being 0, find their name taken by a stranger. */
  strangersTake: readonly number[];
  /** What our token sees of strangers' apps. */
  strangers: typeof STRANGERS_SEEN[number];
  provisionTimeoutSeconds: number;
  regionFallback: boolean;
  machineLimit: number;
  /** Whether Fly.io's rate limits apply. */
  rateLimits: boolean;
  startDelayMs: number;
  /** How many Fly apps the creates are spread over. */
  apps: number;
  /** Whether ALERT_WEBHOOK_URL is set. */
  alerts: boolean;
}

export interface Schedule {
  settings: ScheduleSettings;
  operations: Operation[];
  /** For each call to Fly.io, in the order in which they are sent. */
  flyFaults: ScheduledFault[];
  /** For each call to the database. */
  databaseFaults: ScheduledFault[];
  /** For each create that arrives. */
  machineFaults: ScheduledMachineFault[];
  /** For each start of a machine of the pool. */
  startFaults: ScheduledStartFault[];
  /**
   * Milliseconds that each way of each call takes, in turn, over and over. They decide in which order
   * concurrent calls arrive and their answers come back.
   */
  latenciesMs: number[];
  /** Of machine names, jitter and the simulator's ids. */
  seed: number;
}

const user = fc.nat(USERS - 1);
const isolate = fc.nat(ISOLATES - 1);
const afterMs = fc.constantFrom(0, 1, 20, 350, 1_000, 4_000, 30_000, 125_000, 200_000);
const machine = fc.nat(4);

const provision = fc.record({
  kind: fc.constant("provision" as const),
  afterMs,
  isolate,
  user,
  asService: fc.constantFrom(false, false, false, true),
  key: fc.constantFrom(null, 0, 0, 1),
  body: fc.constantFrom(0, 0, 0, 1, 2),
  async: fc.constantFrom(false, false, true),
});

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 6, arbitrary: provision },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("destroy" as const),
      afterMs,
      isolate,
      user,
      asService: fc.boolean(),
      machine: fc.option(machine, { freq: 8 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("reconcile" as const), afterMs, isolate }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("delete-user" as const), afterMs, isolate, user }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("kill" as const), afterMs, isolate, machine }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("tamper" as const),
      afterMs,
      isolate,
      erase: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("restore" as const), afterMs, isolate }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("other-reconcile" as const), afterMs, isolate }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("shutdown" as const), afterMs, isolate }),
  },
);

export const scheduleArbitrary: fc.Arbitrary<Schedule> = fc.record({
  settings: fc.record({
    hosting: fc.constantFrom(...HOSTINGS),
    pool: fc.constantFrom("none" as const, ...POOLS, "stopped" as const),
    reads: fc.constantFrom("prompt" as const, ...READS),
    strangersTake: fc.constantFrom([], [], [], [], [0], [1], [0, 1], [0, 1, 2, 3, 4, 5]),
    strangers: fc.constantFrom(...STRANGERS_SEEN),
    provisionTimeoutSeconds: fc.constantFrom(120, 20),
    regionFallback: fc.boolean(),
    machineLimit: fc.constantFrom(1, 1, 2),
    rateLimits: fc.constantFrom(false, false, true),
    startDelayMs: fc.constantFrom(300, 0, 6_000),
    apps: fc.constantFrom(1, 1, 2),
    alerts: fc.constantFrom(false, false, false, true),
  }),
  // A schedule that provisions nothing would prove nothing.
  operations: fc.tuple(provision, fc.array(operation, { maxLength: 5, size: "max" }))
    .map(([first, others]): Operation[] => [first, ...others]),
  flyFaults: faultsArbitrary,
  databaseFaults: faultsArbitrary,
  machineFaults: machineFaultsArbitrary,
  startFaults: startFaultsArbitrary,
  latenciesMs: fc.array(fc.constantFrom(0, 1, 7, 60, 400, 2_600), { maxLength: 12 }),
  seed: fc.nat(0xffff),
});
