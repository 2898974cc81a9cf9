/** The create loop: after each answer of Fly.io, is it sent again, adopted or given up? */
import assert from "node:assert/strict";
import { AppError } from "../../supabase/functions/provision-machine/errors.ts";
import { createMachine } from "../../supabase/functions/provision-machine/provision/create-machine.ts";
import {
  broken,
  lost,
  OWN,
  says,
  type Script,
  scriptProvisioning,
  silent,
} from "./scripted-provisioning.ts";

const CREATED = says(200, OWN);
const NONE = says(200, []);
const FOUND = says(200, [OWN]);
/** The row still wants its machine. */
const GO = says(200, { outcome: "go", wait_ms: 0 });
const CLOSED = says(200, { outcome: "closed", wait_ms: 0 });
const REFUSED = says(422, { error: "invalid image" });
const UNAVAILABLE = says(503, { error: "down" });
const FULL = says(422, { error: "insufficient_capacity" });
const OVER_QUOTA = says(403, { error: "over the allowed quota" });
const RETIRED = says(400, { error: "cannot have new resources provisioned" });
const MACHINE_LIMIT = says(422, { error: "Your organization has reached its machine limit" });
const NO_IMAGE = says(404, { error: "MANIFEST_UNKNOWN" });
const TAKEN = says(409, {
  error: "already_exists: unique machine name violation, machine ID 4d891ff0a23e87",
});
const TAKEN_WITHOUT_ID = says(409, { error: "already exists" });
const FOREIGN = { ...OWN, name: "machine-2" };

interface Case {
  script: Script;
  regions?: [string, ...string[]];
  calls: string[];
  /** The id of the machine, or the code of the error. */
  outcome: string;
  /** Whether Fly.io may hold a machine of the row afterwards. */
  mayExist: boolean;
  attempts?: number;
}

const CASES: Record<string, Case> = {
  "the first create succeeds": {
    script: { create: CREATED },
    calls: ["create iad"],
    outcome: "4d891ff0a23e87",
    mayExist: true,
  },
  "the answer is lost, the machine is there: adopted, not created again": {
    script: { create: lost, list: FOUND },
    calls: ["create iad", "list"],
    outcome: "4d891ff0a23e87",
    mayExist: true,
  },
  "the answer breaks off, the machine is there": {
    script: { create: broken, list: FOUND },
    calls: ["create iad", "list"],
    outcome: "4d891ff0a23e87",
    mayExist: true,
  },
  "the answer cannot be read, the machine is there": {
    script: { create: says(200, "<html>"), list: FOUND },
    calls: ["create iad", "list"],
    outcome: "4d891ff0a23e87",
    mayExist: true,
  },
  "no answer in time, the machine is there": {
    script: { create: silent, list: FOUND },
    calls: ["create iad", "list"],
    outcome: "4d891ff0a23e87",
    mayExist: true,
  },
  "five full regions leave the patience for a lost request as it was": {
    script: {
      create: [FULL, FULL, FULL, FULL, FULL, lost, CREATED],
      list: NONE,
      take_create_slot: GO,
    },
    regions: ["iad", "ewr", "ams", "fra", "lhr", "cdg"],
    calls: [
      ...["iad", "ewr", "ams", "fra", "lhr", "cdg"].map((region) => `create ${region}`),
      "list",
      "take_create_slot",
      "create cdg",
    ],
    outcome: "4d891ff0a23e87",
    mayExist: true,
    attempts: 7,
  },
  "the request is lost: created again, once the row was asked": {
    script: { create: [lost, CREATED], list: NONE, take_create_slot: GO },
    calls: ["create iad", "list", "take_create_slot", "create iad"],
    outcome: "4d891ff0a23e87",
    mayExist: true,
    attempts: 2,
  },
  "the request is lost, and the row was closed meanwhile: not created again": {
    script: { create: lost, list: NONE, take_create_slot: CLOSED },
    calls: ["create iad", "list", "take_create_slot"],
    outcome: "machine_failed",
    mayExist: true,
  },
  "a machine of the name that is destroyed, or of another row, is not adopted": {
    script: {
      create: [lost, CREATED],
      list: says(200, [{ ...OWN, id: "old", state: "destroyed" }, { ...FOREIGN, id: "other" }]),
      take_create_slot: GO,
    },
    calls: ["create iad", "list", "take_create_slot", "create iad"],
    outcome: "4d891ff0a23e87",
    mayExist: true,
    attempts: 2,
  },
  "the look-up fails: looked up again, never created blindly": {
    script: { create: lost, list: [UNAVAILABLE, lost, FOUND] },
    calls: ["create iad", "list", "list", "list"],
    outcome: "4d891ff0a23e87",
    mayExist: true,
    attempts: 1,
  },
  "the create lands after the look-up: the second is refused, the first adopted by its id": {
    script: { create: [lost, TAKEN], list: NONE, take_create_slot: GO, get: says(200, OWN) },
    calls: ["create iad", "list", "take_create_slot", "create iad", "get 4d891ff0a23e87"],
    outcome: "4d891ff0a23e87",
    mayExist: true,
    attempts: 2,
  },
  "the refusal names no id: looked up by name": {
    script: { create: [lost, TAKEN_WITHOUT_ID], list: [NONE, FOUND], take_create_slot: GO },
    calls: ["create iad", "list", "take_create_slot", "create iad", "list"],
    outcome: "4d891ff0a23e87",
    mayExist: true,
    attempts: 2,
  },
  "the name is taken by a machine that is not visible yet: looked up until it is": {
    script: {
      create: TAKEN,
      get: says(404, { error: "not found" }),
      list: [NONE, FOUND],
      take_create_slot: GO,
    },
    calls: [
      "create iad",
      "get 4d891ff0a23e87",
      "list",
      "take_create_slot",
      "create iad",
      "get 4d891ff0a23e87",
      "list",
    ],
    outcome: "4d891ff0a23e87",
    mayExist: true,
    attempts: 2,
  },
  "a refusal is final, and nothing can exist": {
    script: { create: REFUSED },
    calls: ["create iad"],
    outcome: "fly_rejected",
    mayExist: false,
  },
  "a refused token is final": {
    script: { create: says(401, { error: "no" }) },
    calls: ["create iad"],
    outcome: "fly_unauthorized",
    mayExist: false,
  },
  "a refusal after a lost answer: the first may still exist": {
    script: { create: [lost, REFUSED], list: NONE, take_create_slot: GO },
    calls: ["create iad", "list", "take_create_slot", "create iad"],
    outcome: "fly_rejected",
    mayExist: true,
    attempts: 2,
  },
  "a full region: the next one, until none is left": {
    script: { create: FULL },
    regions: ["iad", "ewr", "ord"],
    calls: ["create iad", "create ewr", "create ord"],
    outcome: "fly_capacity",
    mayExist: false,
    attempts: 3,
  },
  "over the region's quota, or retired: the next; at the organisation's limit: no other": {
    script: { create: [OVER_QUOTA, RETIRED, MACHINE_LIMIT], note_refused_region: says(200) },
    regions: ["iad", "ewr", "ord", "lhr"],
    calls: [
      "create iad",
      "note_refused_region",
      "create ewr",
      "note_refused_region",
      "create ord",
    ],
    outcome: "fly_account_limit",
    mayExist: false,
    attempts: 3,
  },
  "an image that has just been pushed: created again, once the row was asked": {
    script: { create: [NO_IMAGE, CREATED], take_create_slot: GO },
    regions: ["iad", "ewr"],
    calls: ["create iad", "take_create_slot", "create iad"],
    outcome: "4d891ff0a23e87",
    mayExist: true,
    attempts: 2,
  },
  "an image that is missing, and the row was closed meanwhile": {
    script: { create: NO_IMAGE, take_create_slot: CLOSED },
    calls: ["create iad", "take_create_slot"],
    outcome: "machine_failed",
    mayExist: false,
  },
  "the region that had room stays": {
    script: { create: [FULL, lost, CREATED], list: NONE, take_create_slot: GO },
    regions: ["iad", "ewr", "ord"],
    calls: ["create iad", "create ewr", "list", "take_create_slot", "create ewr"],
    outcome: "4d891ff0a23e87",
    mayExist: true,
    attempts: 3,
  },
  "an error that is no call's own ends it at once": {
    script: { create: lost, list: NONE, take_create_slot: says(400, { message: "no", code: "X" }) },
    calls: ["create iad", "list", "take_create_slot"],
    outcome: "database_error",
    mayExist: true,
  },
};

for (const [name, expected] of Object.entries(CASES)) {
  Deno.test(`create machine: ${name}`, async () => {
    const provisioning = scriptProvisioning(expected.script, expected.regions);
    const { context, input, progress, calls } = provisioning;
    const outcome = await provisioning.run(() => createMachine(context, input, progress)).then(
      ({ id }) => id,
      (error: unknown) => {
        assert.ok(error instanceof AppError, String(error));
        return error.code;
      },
    );
    assert.deepEqual(calls, expected.calls);
    assert.deepEqual(
      { outcome, mayExist: progress.mayExist, attempts: context.measurements.createAttempts },
      { outcome: expected.outcome, mayExist: expected.mayExist, attempts: expected.attempts ?? 1 },
    );
  });
}

Deno.test("create machine: the log names the call once, and its failures with what was done", async () => {
  const provisioning = scriptProvisioning(
    { create: [FULL, lost, CREATED], list: NONE, take_create_slot: GO },
    ["iad", "ewr"],
  );
  const { context, input, progress, log } = provisioning;
  await provisioning.run(() => createMachine(context, input, progress));
  assert.deepEqual(log.lines(), [
    "info: Calling Fly.io API to create machine in iad...",
    "info: Fly.io API response status: 200",
  ]);
  const requestBody = log.records[0]?.properties["requestBody"];
  assert.deepEqual(requestBody, { ...input.loggableBody, region: "iad" });
  const { failedCalls, flyRequestIds, region } = context.measurements.report();
  assert.deepEqual(failedCalls, [
    "create: Fly.io answered 422: insufficient_capacity, trying region ewr",
    "create: Fly.io could not be reached: connection reset, trying again in 250 ms",
  ]);
  assert.deepEqual(flyRequestIds, [
    "01JNRQ9VVKJ7HZFMJWJB3M3RYN-yyz",
    null,
    "01JNRQ9VVKJ7HZFMJWJB3M3RYN-yyz",
  ]);
  assert.equal(region, "ewr");
});
