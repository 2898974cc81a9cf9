/** The start loop: when is a machine seen started, when given up, and how often is Fly.io asked? */
import assert from "node:assert/strict";
import { AppError } from "../../supabase/functions/provision-machine/errors.ts";
import { FlyError } from "../../supabase/functions/provision-machine/fly/errors.ts";
import { startMachine } from "../../supabase/functions/provision-machine/provision/start-machine.ts";
import {
  after,
  type Answer,
  lost,
  OWN,
  ROW,
  says,
  type Script,
  scriptProvisioning,
  silent,
  WORK_MS,
} from "./scripted-provisioning.ts";
import { DATABASE, NOT_YET, seen, start, STARTED } from "./scripted-start.ts";

const GONE = says(404, { error: "machine not found" });
const FAILED = `machine_failed: Fly machine ${OWN.id} did not start: it`;

interface Case {
  script: Script;
  machine?: Partial<typeof OWN>;
  outcome: string;
  elapsedMs: number;
  /** Calls to Fly.io. */
  fly: string[];
}

const CASES: Record<string, Case> = {
  "it starts at once, and is never polled": {
    script: { wait: after(800, STARTED) },
    outcome: "running",
    elapsedMs: 800,
    fly: ["wait 60"],
  },
  "it is created as started": {
    script: {},
    machine: { state: "started" },
    outcome: "running",
    elapsedMs: 0,
    fly: [],
  },
  "it is created as failed": {
    script: {},
    machine: { state: "failed" },
    outcome: `${FAILED} is failed`,
    elapsedMs: 0,
    fly: [],
  },
  "the poll sees it started before the wait answers": {
    script: { wait: silent, get: [seen("starting"), seen("started")] },
    outcome: "running",
    elapsedMs: 5_000,
    fly: ["wait 60", `get ${OWN.id}`, `get ${OWN.id}`],
  },
  "the poll sees it fail, with its last event": {
    script: { wait: silent, get: seen("stopped", [{ type: "exit", code: 1 }, { type: "start" }]) },
    outcome: `${FAILED} is stopped; last event: {"type":"exit","code":1}`,
    elapsedMs: 2_500,
    fly: ["wait 60", `get ${OWN.id}`],
  },
  "the poll sees it fail: the newest exit says why, whatever came later": {
    script: {
      wait: silent,
      get: seen("destroyed", [
        { type: "destroy" },
        { type: "exit", request: { exit_event: { exit_code: 137, oom_killed: true } } },
        { type: "exit", request: { exit_event: { exit_code: 1 } } },
      ]),
    },
    outcome: `${FAILED} is destroyed; exit code 137, out of memory`,
    elapsedMs: 2_500,
    fly: ["wait 60", `get ${OWN.id}`],
  },
  "it is gone, and was seen to exit before": {
    script: {
      wait: silent,
      get: [
        seen("starting", [{ type: "exit", request: { exit_event: { exit_code: 3 } } }]),
        GONE,
      ],
    },
    outcome: `${FAILED} no longer exists; exit code 3`,
    elapsedMs: 22_500,
    fly: ["wait 60", ...Array(9).fill(`get ${OWN.id}`)],
  },
  "the poll sees that it is gone": {
    script: { wait: silent, get: GONE },
    outcome: `${FAILED} no longer exists`,
    elapsedMs: 20_000,
    fly: ["wait 60", ...Array(8).fill(`get ${OWN.id}`)],
  },
  "the poll sees that it is gone because the row no longer wants it: at once": {
    script: {
      wait: silent,
      get: GONE,
      take_create_slot: says(200, { outcome: "closed", wait_ms: 0 }),
    },
    outcome: "machine_failed: The machine was destroyed while it was being provisioned",
    elapsedMs: 2_500,
    fly: ["wait 60", `get ${OWN.id}`],
  },
  "one 404 of the poll proves nothing": {
    script: { wait: after(6_000, STARTED), get: [GONE, seen("starting")] },
    outcome: "running",
    elapsedMs: 6_000,
    fly: ["wait 60", `get ${OWN.id}`, `get ${OWN.id}`],
  },
  "a poll that fails decides nothing": {
    script: { wait: after(6_000, STARTED), get: [lost, says(500, "down")] },
    outcome: "running",
    elapsedMs: 6_000,
    fly: ["wait 60", `get ${OWN.id}`, `get ${OWN.id}`],
  },
  "a wait whose time is up is sent again, with the time that is left": {
    script: { wait: [after(60_000, NOT_YET), after(10_000, STARTED)], get: seen("starting") },
    outcome: "running",
    elapsedMs: 70_000,
    fly: [
      "wait 60",
      ...Array(23).fill(`get ${OWN.id}`),
      "wait 40",
      ...Array(4).fill(`get ${OWN.id}`),
    ],
  },
  "a wait that gives up early is no busy loop": {
    script: { wait: [NOT_YET, after(999, NOT_YET), after(200, STARTED)], get: seen("starting") },
    outcome: "running",
    // 0 and a pause, 999 and a pause, 200.
    elapsedMs: 1_000 + 1_999 + 200,
    fly: ["wait 60", "wait 60", `get ${OWN.id}`, "wait 60"],
  },
  "a new machine that is not known everywhere yet": {
    script: { wait: [GONE, after(100, STARTED)] },
    outcome: "running",
    elapsedMs: 250 + 100,
    fly: ["wait 60", "wait 60"],
  },
  "a machine that nothing knows any more": {
    script: { wait: GONE, get: GONE },
    outcome: `${FAILED} no longer exists`,
    elapsedMs: 20_000,
    fly: [
      ...Array(4).fill("wait 60"),
      `get ${OWN.id}`,
      "wait 60",
      `get ${OWN.id}`,
      `get ${OWN.id}`,
      "wait 60",
      `get ${OWN.id}`,
      "wait 60",
      `get ${OWN.id}`,
      `get ${OWN.id}`,
      "wait 60",
      `get ${OWN.id}`,
      "wait 60",
      `get ${OWN.id}`,
    ],
  },
  "a wait that fails five times ends with its failure": {
    script: { wait: says(502, { error: "bad gateway" }), get: seen("starting") },
    outcome: "fly_unavailable: Fly.io answered 502: bad gateway",
    elapsedMs: 3_750,
    fly: ["wait 60", "wait 60", "wait 60", "wait 60", `get ${OWN.id}`, "wait 60"],
  },
  "an app that does not exist is no machine that is gone": {
    script: { wait: says(404, { error: "app not found" }), get: seen("starting") },
    outcome: "fly_rejected: Fly.io answered 404: app not found",
    elapsedMs: 3_750,
    fly: ["wait 60", "wait 60", "wait 60", "wait 60", `get ${OWN.id}`, "wait 60"],
  },
  "a token that is refused ends it at once": {
    script: { wait: says(401, { error: "no" }) },
    outcome: "fly_unauthorized: Fly.io answered 401: no",
    elapsedMs: 0,
    fly: ["wait 60"],
  },
};

for (const [name, { script, machine, outcome, elapsedMs, fly }] of Object.entries(CASES)) {
  Deno.test(`start machine: ${name}`, async () => {
    const { provisioning, outcome: found } = start(script, machine);
    assert.equal(await found, outcome);
    assert.equal(provisioning.elapsedMs(), elapsedMs);
    assert.deepEqual(provisioning.calls.filter((call) => !(call in DATABASE)), fly);
    // Neither the wait nor the poll goes on behind the answer.
    assert.equal(provisioning.clock.pending, 0);
  });
}

Deno.test("start machine: at the deadline it has not started in time", async () => {
  const notStarted =
    `provision_timeout: Fly machine ${OWN.id} did not start in time: it is still starting in iad`;
  const cases: [wait: Answer, failedCalls: string[] | undefined][] = [
    [silent, ["wait: Fly.io did not answer within 90000 ms, trying again in 250 ms"]],
    // A call that the deadline cuts short is no failed call.
    [after(60_000, NOT_YET), undefined],
  ];
  for (const [wait, failedCalls] of cases) {
    const { provisioning, outcome } = start({ wait, get: seen("starting") });
    assert.equal(await outcome, notStarted);
    assert.equal(provisioning.elapsedMs(), WORK_MS);
    assert.deepEqual(provisioning.context.measurements.report().failedCalls, failedCalls);
    assert.equal(provisioning.clock.pending, 0);
  }
});

Deno.test("start machine: no wait is sent once the deadline has passed", async () => {
  const wait = [after(60_000, NOT_YET), after(39_500, NOT_YET), after(200, NOT_YET)];
  const { provisioning, outcome } = start({ wait, get: seen("starting") });
  assert.equal(
    await outcome,
    `provision_timeout: Fly machine ${OWN.id} did not start in time: it is still starting in iad`,
  );
  const waits = provisioning.calls.filter((call) => call.startsWith("wait"));
  assert.deepEqual(waits, ["wait 60", "wait 40", "wait 1"]);
});

Deno.test("start machine: a pause ends at the deadline, however long Fly.io asks to wait", async () => {
  const { provisioning, outcome } = start({
    wait: says(503, { error: "down" }, { "retry-after": "200" }),
    get: seen("starting"),
  });
  assert.match(await outcome, /^provision_timeout: /);
  assert.equal(provisioning.elapsedMs(), WORK_MS);
});

Deno.test("start machine: failed waits are in the summary and number their attempts", async () => {
  const provisioning = scriptProvisioning({
    ...DATABASE,
    wait: says(502, {}),
    get: seen("starting"),
  });
  const { context } = provisioning;
  await assert.rejects(provisioning.run(() => startMachine(context, ROW, OWN)), (error) => {
    assert.ok(error instanceof AppError && error.cause instanceof FlyError);
    assert.equal(error.cause.attempt, 5);
    return true;
  });
  assert.deepEqual(context.measurements.report().failedCalls, [
    "wait: Fly.io answered 502: {}, trying again in 250 ms",
    "wait: Fly.io answered 502: {}, trying again in 500 ms",
    "wait: Fly.io answered 502: {}, trying again in 1000 ms",
    "wait: Fly.io answered 502: {}, trying again in 2000 ms",
  ]);
});

Deno.test("start machine: with less than a second left the wait still asks for one", async () => {
  const provisioning = scriptProvisioning({ ...DATABASE, wait: STARTED });
  provisioning.clock.jump(WORK_MS - 400);
  await provisioning.run(() => startMachine(provisioning.context, ROW, OWN));
  assert.ok(provisioning.calls.includes("wait 1"));
});
