/** Destroying a row's machine: when it is certain that none is left, and how often it is tried. */
import assert from "node:assert/strict";
import { destroyMachineOfRow } from "../../supabase/functions/provision-machine/hosting/machine-of-row.ts";
import { FlyError } from "../../supabase/functions/provision-machine/fly/errors.ts";
import { lost, OWN, ROW, says, type Script, scriptProvisioning } from "./scripted-provisioning.ts";

const OK = says(200, { ok: true });
const GONE = says(404, { error: "machine not found" });
const DOWN = says(503, { error: "down" });
const LEASED = says(409, {
  status: "error",
  message: `machine ID ${OWN.id} lease currently held by ops@example.com`,
});
const LIMITED = says(429, { error: "slow down" }, { "retry-after": "3" });

interface Case {
  script: Script;
  /** The machine's id is not known, so it is looked up by its name. */
  unknown?: boolean;
  calls: string[];
  /** Whether it is certain that none is left, or the code of the error. */
  outcome: boolean | string;
  elapsedMs?: number;
}

const GET = `get ${OWN.id}`;
const DELETE = `delete ${OWN.id}`;
const SEEN = says(200, OWN);

const CASES: Record<string, Case> = {
  "destroyed by its id, once its name was checked": {
    script: { get: SEEN, delete: OK },
    calls: [GET, DELETE],
    outcome: true,
  },
  "gone between the check and the call": {
    script: { get: SEEN, delete: GONE },
    calls: [GET, DELETE],
    outcome: true,
  },
  "not known at the moment: it may only not be visible": {
    script: { get: GONE },
    calls: [GET],
    outcome: false,
  },
  "the id leads to a machine with another name: not touched": {
    script: { get: says(200, { ...OWN, name: "machine-of-another-row" }) },
    calls: [GET],
    outcome: false,
  },
  "found by its name": {
    script: { list: says(200, [OWN]), delete: OK },
    unknown: true,
    calls: ["list", DELETE],
    outcome: true,
  },
  "not found by its name: a create may still land": {
    script: { list: says(200, []) },
    unknown: true,
    calls: ["list"],
    outcome: false,
  },
  "a failure of the network or of Fly.io is tried again": {
    script: { get: SEEN, delete: [lost, DOWN, OK] },
    calls: [GET, DELETE, GET, DELETE, GET, DELETE],
    outcome: true,
    elapsedMs: 250 + 500,
  },
  "so is a rate limit, as late as Fly.io asks": {
    script: { get: SEEN, delete: [LIMITED, OK] },
    calls: [GET, DELETE, GET, DELETE],
    outcome: true,
    elapsedMs: 3_000,
  },
  "so is a machine that something else works on": {
    script: { get: SEEN, delete: [LEASED, OK] },
    calls: [GET, DELETE, GET, DELETE],
    outcome: true,
    elapsedMs: 250,
  },
  "and on: Fly.io is busy, not the configuration wrong": {
    script: { get: SEEN, delete: LEASED },
    calls: [GET, DELETE, GET, DELETE, GET, DELETE],
    outcome: "fly_unavailable",
    elapsedMs: 750,
  },
  "three attempts in all": {
    script: { get: SEEN, delete: DOWN },
    calls: [GET, DELETE, GET, DELETE, GET, DELETE],
    outcome: "fly_unavailable",
    elapsedMs: 750,
  },
  "a refusal is final": {
    script: { get: SEEN, delete: says(401, { error: "no" }) },
    calls: [GET, DELETE],
    outcome: "fly_unauthorized",
  },
  "a pause that would outlast the deadline is not begun": {
    script: { get: SEEN, delete: says(503, { error: "down" }, { "retry-after": "110" }) },
    calls: [GET, DELETE],
    outcome: "fly_unavailable",
  },
};

for (const [name, { script, unknown, calls, outcome, elapsedMs = 0 }] of Object.entries(CASES)) {
  Deno.test(`destroy machine: ${name}`, async () => {
    const provisioning = scriptProvisioning(script);
    const { context: { runtime, fly, closeDeadline } } = provisioning;
    const machine = {
      app: ROW.fly_app_name,
      name: ROW.machine_id,
      organization: null,
      flyMachineId: unknown ? null : OWN.id,
    };
    const found = await provisioning.run(() =>
      destroyMachineOfRow({ runtime, fly, deadline: closeDeadline }, machine)
    ).catch((error: unknown) => {
      assert.ok(error instanceof FlyError, String(error));
      assert.equal(error.attempt, calls.filter((call) => call === DELETE).length);
      return error.code;
    });
    assert.equal(found, outcome);
    assert.deepEqual(provisioning.calls, calls);
    assert.equal(provisioning.elapsedMs(), elapsedMs);
  });
}
