/**
 * Schedules that once broke an invariant, or that a deliberate mutation breaks (see mutations.ts),
 * by hand and small. Each says what has to happen; all have to keep I1 to I6.
 */
import assert from "node:assert/strict";
import type { ScheduledFault, StatusFault } from "./draw-faults.ts";
import { checkSchedule } from "./model.ts";
import { type Observation, WARM_UP_RUNS } from "./run-schedule.ts";
import type { Operation, Schedule } from "./schedule.ts";
import { ModelWorld } from "./model-world.ts";

const QUIET: Schedule = {
  settings: {
    hosting: "shared",
    pool: "none",
    reads: "prompt",
    strangersTake: [],
    strangers: "forbidden",
    provisionTimeoutSeconds: 120,
    regionFallback: false,
    machineLimit: 1,
    rateLimits: false,
    startDelayMs: 300,
    apps: 1,
    alerts: false,
  },
  operations: [],
  flyFaults: [],
  databaseFaults: [],
  machineFaults: [],
  startFaults: [],
  latenciesMs: [],
  seed: 1,
};

const PROVISION: Operation = {
  kind: "provision",
  afterMs: 0,
  isolate: 0,
  user: 0,
  asService: false,
  key: null,
  body: 0,
  async: false,
};
const none: ScheduledFault = { kind: "none" };
const reconcile = (afterMs: number, isolate = 0): Operation => ({
  kind: "reconcile",
  afterMs,
  isolate,
});
const status = (status: number, more: Partial<StatusFault> = {}): ScheduledFault => ({
  kind: "status",
  status,
  effect: false,
  retryAfterSeconds: null,
  body: "json",
  ...more,
});

interface Case {
  name: string;
  schedule: Partial<Schedule>;
  /** Status and code of each request before the final runs of reconcile. */
  answers: string[];
  /** Statuses and error codes of the rows at the end. */
  rows: string[];
  /** What the first answer says besides. */
  says?: RegExp;
}

const CASES: Case[] = [
  {
    name: "a token that Fly.io repeats in an error is in no event, row, log or answer",
    schedule: { operations: [PROVISION], flyFaults: [status(403, { body: "echo" })] },
    answers: ["500 fly_unauthorized"],
    rows: ["error fly_unauthorized"],
  },
  {
    name: "a claim that took effect and was never answered is not left open silently",
    schedule: {
      operations: [PROVISION],
      databaseFaults: [1, 2, 3].map((): ScheduledFault => ({ kind: "reset", when: "after" })),
    },
    answers: ["500 database_error"],
    rows: ["error interrupted"],
  },
  {
    name: "a garbled answer of the database is asked for again",
    schedule: { operations: [PROVISION], databaseFaults: [{ kind: "garbage" }] },
    answers: ["200"],
    rows: ["running"],
  },
  {
    name: "a claim that is repeated after its owner was deleted finds its row",
    schedule: {
      operations: [PROVISION, { kind: "delete-user", afterMs: 20, isolate: 0, user: 0 }],
      databaseFaults: [{ kind: "reset", when: "after" }],
    },
    answers: ["500 machine_failed"],
    rows: ["error machine_failed"],
  },
  {
    name: "a NUL in Fly.io's refusal does not keep the row from being closed",
    schedule: {
      operations: [PROVISION],
      flyFaults: [{ kind: "garbage" }],
      machineFaults: [{ kind: "no-capacity", variant: "409-text" }],
    },
    answers: ["500 fly_rejected"],
    rows: ["error fly_rejected"],
  },
  {
    name: "a name that Postgres cannot store is not found",
    schedule: {
      operations: [
        { kind: "destroy", afterMs: 0, isolate: 0, user: 1, asService: false, machine: null },
      ],
    },
    answers: ["404 not_found"],
    rows: [],
  },
  {
    name: "a machine whose request died is logged as an error by reconcile",
    schedule: {
      operations: [PROVISION],
      flyFaults: [{ kind: "crash", when: "unsent" }],
    },
    answers: ["no answer"],
    rows: ["error interrupted"],
  },
  {
    name: "a machine that was destroyed behind our back is logged as an error by reconcile",
    schedule: {
      operations: [PROVISION, { kind: "kill", afterMs: 5_000, isolate: 0, machine: 0 }],
    },
    answers: ["200"],
    rows: ["error machine_lost"],
  },
  {
    name: "a Fly.io that does not answer reconcile is not taken for a database that does not",
    schedule: {
      operations: [PROVISION, reconcile(125_000)],
      flyFaults: [
        { kind: "crash", when: "answered" },
        { kind: "hang", when: "before" },
        { kind: "hang", when: "before" },
      ],
    },
    answers: ["no answer", "200"],
    rows: ["error interrupted"],
  },
  {
    name: "a create that lands between the lookup and the next create is adopted",
    schedule: {
      operations: [PROVISION],
      // The first lands 31 s after it was sent; by then the second is on its way.
      flyFaults: [{ kind: "delay", ms: 31_000, when: "before" }, none, {
        kind: "delay",
        ms: 5_000,
        when: "before",
      }],
    },
    answers: ["200"],
    rows: ["running"],
  },
  {
    name: "a machine that lands after its row was closed is swept",
    schedule: {
      operations: [PROVISION],
      // The first create lands 45 s after it was sent, when the second's machine has come and gone.
      flyFaults: [{ kind: "delay", ms: 45_000, when: "before" }],
      machineFaults: [{ kind: "killed", afterMs: 0 }],
    },
    answers: ["500 machine_failed"],
    rows: ["error machine_failed"],
  },
  {
    name: "a machine whose owner is deleted as it is about to be marked running is not",
    schedule: {
      operations: [PROVISION, { kind: "delete-user", afterMs: 350, isolate: 0, user: 0 }],
      latenciesMs: [60],
    },
    answers: ["500 machine_failed"],
    rows: ["error machine_failed"],
  },
  {
    name: "two runs of reconcile at once do not work on one row",
    schedule: {
      operations: [PROVISION, reconcile(125_000, 0), reconcile(0, 1)],
      flyFaults: [{ kind: "crash", when: "unsent" }],
      latenciesMs: [60],
    },
    answers: ["no answer", "200", "200"],
    rows: ["error interrupted"],
  },
  {
    name: "a success that had to try again keeps to the log's budget",
    schedule: {
      operations: [PROVISION],
      flyFaults: [status(503), none, { kind: "reset", when: "after" }],
    },
    answers: ["200"],
    rows: ["running"],
  },
  {
    name: "an isolate whose end is announced hands its row over",
    schedule: {
      operations: [
        PROVISION,
        { kind: "shutdown", afterMs: 1_000, isolate: 0 },
        reconcile(30_000, 1),
      ],
      machineFaults: [{ kind: "never-starts", state: "starting" }],
    },
    answers: ["no answer", "200"],
    rows: ["error interrupted"],
  },
  {
    name: "a row whose app's name a stranger took is closed, and not visited for all time",
    schedule: {
      settings: { ...QUIET.settings, hosting: "own-app", strangersTake: [0] },
      operations: [PROVISION],
      flyFaults: [{ kind: "crash", when: "answered" }],
    },
    answers: ["no answer"],
    rows: ["error interrupted"],
  },
  {
    name: "a machine whose row became running unseen is not destroyed",
    schedule: {
      operations: [PROVISION],
      // The claim, Fly's id, then the row becomes running; nothing after that is answered.
      databaseFaults: [
        none,
        none,
        { kind: "reset", when: "after" },
        ...[1, 2, 3, 4, 5, 6, 7, 8].map(() => status(404)),
      ],
    },
    answers: ["500 database_error"],
    rows: ["running"],
  },
  {
    name: "a stranger's app is not taken for ours, even where our token reaches it",
    schedule: {
      settings: {
        ...QUIET.settings,
        hosting: "own-app",
        strangersTake: [0, 1, 2],
        strangers: "reached",
      },
      operations: [PROVISION],
    },
    answers: ["500 fly_rejected"],
    rows: ["error fly_rejected"],
  },
  {
    name: "a name that a stranger took is replaced, also where Fly.io hides the stranger's app",
    schedule: {
      settings: {
        ...QUIET.settings,
        hosting: "own-app",
        strangersTake: [0],
        strangers: "hidden",
      },
      operations: [PROVISION],
    },
    answers: ["200"],
    rows: ["running"],
  },
  {
    name: "a new name whose answer is lost is chosen once",
    schedule: {
      settings: { ...QUIET.settings, hosting: "own-app", strangersTake: [0] },
      operations: [{ ...PROVISION, async: true, key: 0 }, { ...PROVISION, afterMs: 20, key: 0 }],
      databaseFaults: [none, none, { kind: "reset", when: "after" }],
    },
    answers: ["202", "200"],
    rows: ["running"],
  },
  {
    name: "an app that lands after its row was closed is destroyed at its second sighting",
    schedule: {
      settings: { ...QUIET.settings, hosting: "own-app" },
      operations: [PROVISION],
      flyFaults: [{ kind: "delay", ms: 200_000, when: "before" }],
      // The first creates are refused, because the app is still new.
      machineFaults: [1, 2, 3, 4, 5].map(() => ({ kind: "killed", afterMs: 0 })),
    },
    answers: ["500 machine_failed"],
    rows: ["error machine_failed"],
  },
  {
    name: "a machine that is stuck in created is made in the next region, once",
    schedule: {
      settings: { ...QUIET.settings, regionFallback: true },
      operations: [PROVISION],
      machineFaults: [{ kind: "never-starts", state: "created" }],
    },
    answers: ["200"],
    rows: ["running"],
  },
  {
    name: "the same with an app of its own, and reads that leave machines out",
    schedule: {
      settings: {
        ...QUIET.settings,
        hosting: "own-app",
        regionFallback: true,
        reads: "flickering",
        rateLimits: true,
      },
      operations: [PROVISION],
      machineFaults: Array(9).fill({ kind: "never-starts", state: "created" }),
    },
    answers: ["500 provision_timeout"],
    rows: ["error provision_timeout"],
  },
  {
    name: "without another region to try, the answer says where the machine is stuck",
    schedule: {
      operations: [PROVISION],
      machineFaults: [{ kind: "never-starts", state: "created" }],
    },
    answers: ["500 provision_timeout"],
    rows: ["error provision_timeout"],
    says: /still created in iad/,
  },
  {
    name: "a machine of the pool that has no room on its host is replaced by the next",
    schedule: {
      settings: { ...QUIET.settings, hosting: "own-app", pool: "stopped" },
      operations: [PROVISION],
      startFaults: [{ kind: "no-room" }],
    },
    answers: ["200"],
    rows: ["running"],
  },
  {
    name: "the next machine of the pool whose answer is lost is taken once",
    schedule: {
      settings: { ...QUIET.settings, hosting: "own-app", pool: "stopped" },
      operations: [{ ...PROVISION, key: 0 }, { ...PROVISION, afterMs: 20, key: 0 }],
      startFaults: [{ kind: "no-room" }],
      databaseFaults: [none, none, { kind: "reset", when: "after" }],
    },
    answers: ["200", "200"],
    rows: ["running"],
  },
  {
    name: "a claim of the pool whose answer is lost takes one machine",
    schedule: {
      settings: { ...QUIET.settings, hosting: "own-app", pool: "started" },
      operations: [PROVISION],
      databaseFaults: [{ kind: "reset", when: "after" }, { kind: "garbage" }],
    },
    answers: ["200"],
    rows: ["running"],
  },
  {
    name: "a request that dies after it has started a machine of the pool leaves it to reconcile",
    schedule: {
      settings: { ...QUIET.settings, hosting: "own-app", pool: "stopped" },
      operations: [PROVISION],
      flyFaults: [{ kind: "crash", when: "answered" }],
    },
    answers: ["no answer"],
    rows: ["running"],
  },
  {
    name: "a program that ends at its start fails the request and not the whole pool",
    schedule: {
      settings: { ...QUIET.settings, hosting: "own-app", pool: "stopped" },
      operations: [PROVISION],
      startFaults: [{ kind: "fails", state: "failed", afterMs: 200 }],
    },
    answers: ["500 machine_failed"],
    rows: ["error machine_failed"],
  },
  {
    name: "another installation with the same app and token leaves ours alone",
    schedule: {
      operations: [PROVISION, { kind: "other-reconcile", afterMs: 200_000, isolate: 0 }],
    },
    answers: ["200"],
    rows: ["running"],
  },
];

Deno.test("schedules that once broke an invariant", async (t) => {
  await using world = await ModelWorld.open();
  for (const { name, schedule, answers, rows, says } of CASES) {
    await t.step(name, async () => {
      const seen = await checkSchedule(world, { ...QUIET, ...schedule });
      assert.deepEqual(answersOf(seen, answers.length), answers);
      if (says) assert.match(String(textsOf(seen)[0]), says);
      assert.deepEqual(
        seen.rows.map((row) => [row.status, row.error_code].filter(Boolean).join(" ")),
        rows,
      );
    });
  }
});

function answersOf(seen: Observation, count: number): string[] {
  return asked(seen).slice(0, count).map(({ answer }) =>
    typeof answer === "object"
      ? [answer.status, answer.body.code].filter(Boolean).join(" ")
      : "no answer"
  );
}

function textsOf(seen: Observation): string[] {
  return asked(seen).flatMap(({ answer }) => typeof answer === "object" ? answer.text : []);
}

/** The requests of the schedule's own operations: a pool is filled before them. */
function asked({ requests, poolSize }: Observation) {
  return poolSize > 0 ? requests.slice(WARM_UP_RUNS) : requests;
}
