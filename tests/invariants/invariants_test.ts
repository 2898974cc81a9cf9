/** Each checker finds what it is for: a state that breaks one invariant, and how that is reported. */
import assert from "node:assert/strict";
import type { Call, Machine, MachineRow, PoolEntry } from "./evidence.ts";
import { blindCreates, duplicateMachines, duplicateRows } from "./creates.ts";
import { destroyedForeigners, forgottenMachines, touchedApps, unseenApps } from "./leftovers.ts";
import { hastyDecisions, wrongDestructions } from "./mistakes.ts";
import { untrueEntries } from "./pool.ts";
import { brokenLeases } from "./rows.ts";
import { SecretFinder } from "./secrets.ts";
import { type SettledSystem, violations } from "./settled-system.ts";

const NOON = Date.parse("2026-11-01T12:00:00Z");

function row(changes: Partial<MachineRow> = {}): MachineRow {
  return {
    id: "row-1",
    user_id: "user-1",
    machine_id: "machine-1",
    former_machine_ids: [],
    fly_machine_id: "fly-1",
    status: "running",
    error_code: null,
    error_message: null,
    idempotency_key: "key-1",
    request_id: "request-1",
    websocket_url: "wss://example.com",
    reconcile_at: null,
    destroy_requested_at: null,
    ...changes,
  };
}

function machine(changes: Partial<Machine> = {}): Machine {
  return {
    id: "fly-1",
    name: "machine-1",
    state: "started",
    live: true,
    history: [{ at: NOON, state: "created" }, { at: NOON + 500, state: "started" }],
    ...changes,
  };
}

function call(status: number, body: Record<string, unknown>, changes: Partial<Call> = {}): Call {
  return {
    kind: "provision",
    userId: "user-1",
    key: "key-1",
    startedAt: NOON - 100,
    endedAt: NOON + 2_000,
    answer: {
      status,
      headers: new Headers(),
      text: JSON.stringify({ requestId: "request-1", ...body }),
    },
    ...changes,
  };
}

const EVENT = {
  cloud_machine_id: "row-1",
  request_id: "request-1",
  kind: "running",
  error_code: null,
  created_at: "2026-11-01T12:00:01Z",
};
const SECRETS = new SecretFinder();
SECRETS.add("the secret key", "sb_secret_of_the_project");
const RUNNING = { machineId: "machine-1", flyMachineId: "fly-1", status: "running" };

function state(changes: Partial<SettledSystem> = {}): SettledSystem {
  return {
    rows: [row()],
    events: [EVENT],
    machines: [machine()],
    apps: [],
    pool: [],
    pooledNames: [],
    calls: [call(200, RUNNING)],
    deletedUsers: [],
    lines: [],
    secrets: SECRETS,
    ...changes,
  };
}

const FAILED = { status: "error", error_code: "fly_unavailable", error_message: "no" } as const;
const FAILURE = { machineId: "machine-1", code: "fly_unavailable", message: "", error: "no" };
const LOGGED = JSON.stringify({
  level: "error",
  requestId: "request-1",
  code: "fly_unavailable",
  machineId: "machine-1",
});
const GONE = machine({ state: "destroyed", live: false });
const ENTRY: PoolEntry = {
  machine_id: "machine-1",
  fly_machine_id: "fly-1",
  standby: "stopped",
  state: "ready",
};

/** A machine that was there for a while after noon. */
function lived(id: string, fromMs: number, toMs: number): Machine {
  const history: Machine["history"] = [
    { at: NOON + fromMs, state: "created" },
    { at: NOON + toMs, state: "destroyed" },
  ];
  return { ...GONE, id, history };
}

/** A state that breaks one promise, and how that is said. */
const BROKEN: Record<string, [Partial<SettledSystem>, RegExp]> = {
  "an open row": [{ rows: [row({ status: "provisioning" })] }, /^I1: machine-1 is provisioning/],
  "a 200 for a machine that never started": [
    { machines: [machine({ history: [{ at: NOON, state: "created" }] })] },
    /^I2: .*not started by then/,
  ],
  "a 200 before the row said so": [
    { calls: [call(200, RUNNING, { endedAt: NOON + 600 })] },
    /^I2: .*row did not say running/,
  ],
  "a 200 for another machine": [
    { calls: [call(200, { ...RUNNING, flyMachineId: "fly-2" })] },
    /^I2: .*no such Fly machine/,
  ],
  "a 500 whose row runs": [{ calls: [call(500, FAILURE)], lines: [LOGGED] }, /^I2: .*says running/],
  "a 500 whose row says something else": [
    {
      rows: [row({ ...FAILED, error_code: "machine_failed" })],
      machines: [GONE],
      calls: [call(500, FAILURE)],
      lines: [LOGGED],
    },
    /^I2: .*says machine_failed/,
  ],
  "a 401": [{ calls: [call(401, { machineId: null })] }, /^I2: .*the request was valid/],
  "a 400": [{ calls: [call(400, { machineId: null })] }, /^I2: .*the request was valid/],
  "a destroy that did not": [
    { calls: [call(200, {}, { kind: "destroy", key: null, machineId: "machine-1" })] },
    /^I2: destroy 200: the row says running/,
  ],
  "a destroy that finds nothing": [
    { calls: [call(404, {}, { kind: "destroy", key: null, machineId: "machine-1" })] },
    /^I2: destroy 404: the machine was there/,
  ],
  "a running row without its machine": [{ machines: [GONE] }, /^I4: machine-1 is running/],
  "two machines of one row": [
    { machines: [machine(), { ...GONE, id: "fly-2" }] },
    /^I3: machine-1 had 2 Fly machines/,
  ],
  "two machines of one row that lived at once": [
    {
      rows: [row({ status: "destroyed", destroy_requested_at: "2026-11-01T12:00:02Z" })],
      machines: [lived("fly-1", 0, 900), lived("fly-2", 800, 2_000)],
    },
    /^I3: machine-1 had 2 Fly machines/,
  ],
  "one key, two machines": [
    {
      rows: [row(), row({ id: "row-2", machine_id: "machine-2", ...FAILED })],
      calls: [call(200, RUNNING), call(202, { machineId: "machine-2" })],
    },
    /^I3: key user-1 key-1 answered machine-1 and machine-2/,
  ],
  "a machine without a row": [
    { rows: [], events: [], calls: [] },
    /^I3: machine-1 never had a row/,
  ],
  "a machine that two users had": [
    { rows: [row(), row({ ...FAILED, id: "row-2", machine_id: "machine-2", user_id: "user-2" })] },
    /^I3: machine fly-1 had 2 rows and 2 users/,
  ],
  "a machine of a user that is in the pool": [
    { pool: [ENTRY] },
    /^I3: machine-1 is in the pool and a user's/,
  ],
  "a live machine of a failed row": [
    { rows: [row(FAILED)], calls: [] },
    /^I4: machine .*machine-1. lives, and its row is error/,
  ],
  "a machine called lost that is there": [
    { events: [...state().events, { ...EVENT, kind: "machine_lost" }] },
    /^I4: row-1 was called lost/,
  ],
  "a machine without an owner": [
    { rows: [row({ user_id: null })] },
    /^I4: machine .*machine-1. lives without an owner/,
  ],
  "a failure that was not logged": [
    { rows: [row(FAILED)], machines: [GONE], calls: [call(500, FAILURE)] },
    /^I5: no error was logged/,
  ],
  "a secret in the log": [{ lines: ["Bearer sb_secret_of_the_project"] }, /^I6: .* a log line/],
  "a secret in a row": [
    { rows: [row({ ...FAILED, error_message: "sb_secret_of_the_project" })], machines: [GONE] },
    /^I6: .* a row/,
  ],
};

Deno.test("violations: none where every promise was kept", () => {
  assert.deepEqual(violations(state()), []);
  const failed = { rows: [row(FAILED)], machines: [GONE], calls: [call(500, FAILURE)] };
  assert.deepEqual(violations(state({ ...failed, lines: [LOGGED] })), []);
  const oneByOne = {
    rows: [row({ status: "destroyed", destroy_requested_at: "2026-11-01T12:00:02Z" })],
    machines: [lived("fly-1", 0, 700), lived("fly-2", 800, 2_000)],
    calls: [],
  };
  assert.deepEqual(violations(state(oneByOne)), []);
  const signedOut = [call(401, { machineId: null })];
  assert.deepEqual(violations(state({ calls: signedOut, deletedUsers: ["user-1"] })), []);
});

for (const [what, [changes, said]] of Object.entries(BROKEN)) {
  Deno.test(`violations: ${what} is found`, () => {
    const found = violations(state(changes));
    assert.ok(found.some((violation) => said.test(violation)), JSON.stringify(found));
  });
}

const LEASE = { from: 0, to: 10, actions: [{ action: "interrupted", machineId: "machine-1" }] };

/** What only some of the tests can check, because the others do not have the evidence. */
const OTHERS: Record<string, [found: string[], said: RegExp]> = {
  "two runs of reconcile on one row": [brokenLeases([LEASE, { ...LEASE, from: 9 }]), /^I1: two/],
  "two rows of one key": [
    duplicateRows([row(), row({ machine_id: "machine-2" })]),
    /^I3: key-1 of user user-1 has several rows: machine-1, machine-2/,
  ],
  "a second machine, where there must never be one": [
    duplicateMachines([row()], [lived("fly-1", 0, 700), lived("fly-2", 800, 900)], "never"),
    /^I3: machine-1 had 2 Fly machines/,
  ],
  "a create without a lookup": [
    blindCreates([create(0, "reset"), create(1, "200")]),
    /^I3: .*again/,
  ],
  "a closed row whose machine lives": [
    forgottenMachines([row(FAILED)], [machine()]),
    /^I4: machine-1 is error, and its machine lives/,
  ],
  "a foreign machine that was destroyed": [
    destroyedForeigners([GONE], ["fly-1"]),
    /^I4: .*not ours/,
  ],
  "an app of a failed row": [
    unseenApps([row(FAILED)], { apps: ["machine-1", "theirs"], foreignApps: ["theirs"] }),
    /^I4: app machine-1 is left, and its row is error/,
  ],
  "a foreign app that was destroyed": [
    touchedApps([], { apps: [], foreignApps: ["theirs"] }),
    /^I4: app theirs, not ours, was destroyed/,
  ],
  "a machine in a stranger's app": [
    touchedApps([{ ...machine(), app: "machine-1" }], {
      apps: ["machine-1"],
      foreignApps: ["machine-1"],
    }),
    /^I4: .*a stranger's app/,
  ],
  "an entry of the pool whose machine is not there": [
    untrueEntries([ENTRY], [GONE], 1),
    /^I4: machine-1 is ready in the pool, and its machine is destroyed/,
  ],
  "an entry of the pool that runs": [
    untrueEntries([ENTRY], [machine()], 1),
    /^I4: machine-1 is ready in the pool, and its machine is started/,
  ],
  "a discarded machine of the pool that lives": [
    untrueEntries([{ ...ENTRY, state: "discarded" }], [machine()], 1),
    /^I4: machine-1 is discarded in the pool, and its machine is started/,
  ],
  "a pool that is not full": [
    untrueEntries([ENTRY], [machine({ state: "stopped" })], 2),
    /^pool: 1 of 2 stand by/,
  ],
  "a running machine that was destroyed": [
    wrongDestructions([{ step: 1, row: row() }], [{ sentStep: 2, subject: "fly-1" }]),
    /^I9: machine-1 is running, and fly-1 was destroyed/,
  ],
  "the app of a running machine that was destroyed": [
    wrongDestructions([{ step: 1, row: row() }], [{ sentStep: 2, subject: "machine-1" }]),
    /^I9: machine-1 is running, and machine-1 was destroyed/,
  ],
  "an orphan that was destroyed at its first sighting": [
    decided("orphansDestroyed", 30_000),
    /^I9: machine-1 was orphansDestroyed at its first sighting/,
  ],
};

/** In a run of reconcile before which there was another, `gapMs` earlier. */
function decided(action: string, gapMs: number) {
  return hastyDecisions([
    { fromMs: 0, toMs: 100, actions: [] },
    { fromMs: gapMs, toMs: gapMs + 100, actions: [{ action, machineId: "machine-1" }] },
  ]);
}

function create(number: number, seen: string) {
  return { number, action: "create", subject: "machine-1", isolate: "isolate 0", seen };
}

for (const [what, [found, said]] of Object.entries(OTHERS)) {
  Deno.test(`violations: ${what} is found`, () => {
    assert.deepEqual(found.map((violation) => said.test(violation)), [true], found.join("\n"));
  });
}

Deno.test("violations: none where a lookup, a lease or reconcile stands in between", () => {
  const lookup = { ...create(1, "200"), action: "list", subject: null };
  assert.deepEqual(blindCreates([create(0, "reset"), lookup, create(2, "200")]), []);
  assert.deepEqual(brokenLeases([LEASE, { ...LEASE, from: 10 }]), []);
  assert.deepEqual(decided("lost", 61_000), []);
  const closed = { step: 2, row: row(FAILED) };
  const destroyed = { sentStep: 3, subject: "fly-1" };
  assert.deepEqual(wrongDestructions([{ step: 1, row: row() }, closed], [destroyed]), []);
  const due = row({ ...FAILED, reconcile_at: "2026-11-01T12:01:00Z" });
  assert.deepEqual(forgottenMachines([due], [machine()]), []);
});
