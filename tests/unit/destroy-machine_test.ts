/** Destroying a row's machine: when it is certain that none is left, and how often it is tried. */
import assert from "node:assert/strict";
import { destroyMachineOfRow } from "../../supabase/functions/provision-machine/destroy/destroy-machine.ts";
import { FlyError } from "../../supabase/functions/provision-machine/fly/errors.ts";
import { lost, OWN, ROW, says, type Script, scriptProvisioning } from "./scripted-provisioning.ts";

const OK = says(200, { ok: true });
const GONE = says(404, { error: "machine not found" });
const DOWN = says(503, { error: "down" });
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

const DELETE = `delete ${OWN.id}`;

const CASES: Record<string, Case> = {
  "destroyed by its id": { script: { delete: OK }, calls: [DELETE], outcome: true },
  "already gone": { script: { delete: GONE }, calls: [DELETE], outcome: true },
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
    script: { delete: [lost, DOWN, OK] },
    calls: [DELETE, DELETE, DELETE],
    outcome: true,
    elapsedMs: 250 + 500,
  },
  "so is a rate limit, as late as Fly.io asks": {
    script: { delete: [LIMITED, OK] },
    calls: [DELETE, DELETE],
    outcome: true,
    elapsedMs: 3_000,
  },
  "three attempts in all": {
    script: { delete: DOWN },
    calls: [DELETE, DELETE, DELETE],
    outcome: "fly_unavailable",
    elapsedMs: 750,
  },
  "a refusal is final": {
    script: { delete: says(401, { error: "no" }) },
    calls: [DELETE],
    outcome: "fly_unauthorized",
  },
  "a pause that would outlast the deadline is not begun": {
    script: { delete: says(503, { error: "down" }, { "retry-after": "110" }) },
    calls: [DELETE],
    outcome: "fly_unavailable",
  },
};

for (const [name, { script, unknown, calls, outcome, elapsedMs = 0 }] of Object.entries(CASES)) {
  Deno.test(`destroy machine: ${name}`, async () => {
    const provisioning = scriptProvisioning(script);
    const { context: { runtime, fly, closeDeadline }, input } = provisioning;
    const machine = {
      app: ROW.fly_app_name,
      name: ROW.machine_id,
      tags: input.tags,
      flyMachineId: unknown ? null : OWN.id,
    };
    const found = await provisioning.run(() =>
      destroyMachineOfRow({ runtime, fly, deadline: closeDeadline }, machine)
    ).catch((error: unknown) => {
      assert.ok(error instanceof FlyError, String(error));
      assert.equal(error.attempt, calls.length);
      return error.code;
    });
    assert.equal(found, outcome);
    assert.deepEqual(provisioning.calls, calls);
    assert.equal(provisioning.elapsedMs(), elapsedMs);
  });
}
