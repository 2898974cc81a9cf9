import assert from "node:assert/strict";
import {
  type Call,
  type FinalState,
  type Machine,
  type MachineRow,
  violations,
} from "./final-state.ts";

const NOON = Date.parse("2026-11-01T12:00:00Z");

function row(changes: Partial<MachineRow> = {}): MachineRow {
  return {
    id: "row-1",
    user_id: "user-1",
    machine_id: "machine-1",
    fly_machine_id: "fly-1",
    status: "running",
    error_code: null,
    error_message: null,
    idempotency_key: "key-1",
    reconcile_at: null,
    destroy_requested_at: null,
    provisioned_at: "2026-11-01T12:00:01Z",
    ...changes,
  };
}

function machine(changes: Partial<Machine> = {}): Machine {
  return {
    id: "fly-1",
    name: "machine-1",
    state: "started",
    live: true,
    config: { metadata: { cloud_machine_id: "row-1" } },
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
const RUNNING = { machineId: "machine-1", flyMachineId: "fly-1", status: "running" };

function state(changes: Partial<FinalState> = {}): FinalState {
  return {
    rows: [row()],
    events: [EVENT],
    machines: [machine()],
    calls: [call(200, RUNNING)],
    deletedUsers: [],
    lines: [],
    secrets: ["sb_secret_of_the_project"],
    ...changes,
  };
}

const FAILED = { status: "error", error_code: "fly_unavailable", error_message: "no" } as const;
const FAILURE = { machineId: "machine-1", code: "fly_unavailable", message: "", error: "no" };
const LOGGED = '{"level":"error","requestId":"request-1","code":"fly_unavailable"}';
const GONE = machine({ state: "destroyed", live: false });

/** A machine that was there for a while after noon. */
function lived(id: string, fromMs: number, toMs: number): Machine {
  const history: Machine["history"] = [
    { at: NOON + fromMs, state: "created" },
    { at: NOON + toMs, state: "destroyed" },
  ];
  return { ...GONE, id, history };
}

/** A state that breaks one promise, and how that is said. */
const BROKEN: Record<string, [Partial<FinalState>, RegExp]> = {
  "an open row": [{ rows: [row({ status: "provisioning" })] }, /^I1 machine-1 stayed/],
  "a 200 for a machine that never started": [
    { machines: [machine({ history: [{ at: NOON, state: "created" }] })] },
    /^I2 .*not started by then/,
  ],
  "a 200 before the row said so": [
    { calls: [call(200, RUNNING, { endedAt: NOON + 600 })] },
    /^I2 .*row did not say running/,
  ],
  "a 200 for another machine": [
    { calls: [call(200, { ...RUNNING, flyMachineId: "fly-2" })] },
    /^I2 .*no such Fly machine/,
  ],
  "a 500 whose row runs": [{ calls: [call(500, FAILURE)], lines: [LOGGED] }, /^I2 .*says running/],
  "a 500 whose row says something else": [
    {
      rows: [row({ ...FAILED, error_code: "machine_failed" })],
      machines: [GONE],
      calls: [call(500, FAILURE)],
      lines: [LOGGED],
    },
    /^I2 .*says machine_failed/,
  ],
  "a 401": [{ calls: [call(401, { machineId: null })] }, /^I2 .*nobody made a mistake/],
  "a 400": [{ calls: [call(400, { machineId: null })] }, /^I2 .*nobody made a mistake/],
  "a destroy that did not": [
    { calls: [call(200, {}, { kind: "destroy", key: null, machineId: "machine-1" })] },
    /^I2 destroy 200: the row says running/,
  ],
  "a destroy that finds nothing": [
    { calls: [call(404, {}, { kind: "destroy", key: null, machineId: "machine-1" })] },
    /^I2 destroy 404: the machine was there/,
  ],
  "a running row without its machine": [{ machines: [GONE] }, /^I2 machine-1 is running/],
  "two machines of one row": [
    { machines: [machine(), { ...GONE, id: "fly-2" }] },
    /^I3 machine-1 has 2 Fly machines/,
  ],
  "two machines of one row that lived at once": [
    {
      rows: [row({ status: "destroyed", destroy_requested_at: "2026-11-01T12:00:02Z" })],
      machines: [lived("fly-1", 0, 900), lived("fly-2", 800, 2_000)],
    },
    /^I3 machine-1 has 2 Fly machines/,
  ],
  "one key, two machines": [
    {
      rows: [row(), row({ id: "row-2", machine_id: "machine-2", ...FAILED })],
      calls: [call(200, RUNNING), call(202, { machineId: "machine-2" })],
    },
    /^I3 key user-1 key-1 answered machine-1 and machine-2/,
  ],
  "a machine without a row": [
    { rows: [], events: [], calls: [] },
    /^I3 machine-1 never had a row/,
  ],
  "a live machine of a failed row": [
    { rows: [row(FAILED)], calls: [] },
    /^I4 machine-1 lives while its row says error/,
  ],
  "a machine called lost that nobody took": [
    { events: [...state().events, { ...EVENT, kind: "machine_lost" }] },
    /^I2 row-1 was called lost/,
  ],
  "a machine of nobody": [{ rows: [row({ user_id: null })] }, /^I4 machine-1 lives without/],
  "a failure that was not logged": [
    { rows: [row(FAILED)], machines: [GONE], calls: [call(500, FAILURE)] },
    /^I5 no error was logged/,
  ],
  "a secret in the log": [{ lines: ["Bearer sb_secret_of_the_project"] }, /^I6 .* a log line/],
  "a secret in a row": [
    { rows: [row({ ...FAILED, error_message: "sb_secret_of_the_project" })], machines: [GONE] },
    /^I6 .* a row/,
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
