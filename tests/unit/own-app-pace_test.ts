/** The patience of an app of its own: a 429 makes everybody wait, another failure only this request. */
import assert from "node:assert/strict";
import { chooseHosting } from "../../supabase/functions/provision-machine/hosting/choose-hosting.ts";
import { provisionMachine } from "../../supabase/functions/provision-machine/provision/provision-machine.ts";
import {
  OWN,
  ROW,
  RUNNING,
  says,
  type Script,
  scriptProvisioning,
} from "./scripted-provisioning.ts";

const OWN_ROW = { ...ROW, fly_app_name: ROW.machine_id, create_bucket: "org:personal" } as const;
const CREATED = says(201, { id: "app-1" });
const LIMITED = says(429, { error: "slow down" }, { "retry-after": "2" });
const UNAVAILABLE = says(503, { error: "down" });
const NONE = says(200, { ips: [] });
const APPLIED = says(200, { outcome: "applied", machine: { ...ROW, fly_machine_id: OWN.id } });
const STARTED = says(200, { outcome: "applied", machine: RUNNING });
const SLOT: Script = {
  delay_creates: says(200, { outcome: "wait", wait_ms: 5_000 }),
  take_create_slot: says(200, { outcome: "go", wait_ms: 0 }),
};
const REST: Script = {
  create: says(200, { ...OWN, state: "started" }),
  record_fly_machine: APPLIED,
  mark_machine_running: STARTED,
};

function script(answers: Script) {
  const provisioning = scriptProvisioning({ ...REST, ...answers });
  const hosting = chooseHosting({ FLY_ORG_SLUG: "personal", FLY_APP_NAME: ["my-app"] });
  return {
    ...provisioning,
    provision: () =>
      provisioning.run(() =>
        provisionMachine({ ...provisioning.context, hosting }, {
          ...provisioning.input,
          row: OWN_ROW,
        })
      ),
  };
}

Deno.test("own app: a 429 of its create delays everybody's creates, and it waits for its slot", async () => {
  const { provision, calls, arguments: rpc, elapsedMs } = script({
    ...SLOT,
    "create-app": [LIMITED, CREATED],
    addresses: NONE,
    assign: says(200),
  });
  await provision();
  assert.deepEqual(calls.slice(0, 4), [
    "create-app",
    "delay_creates",
    "take_create_slot",
    "create-app",
  ]);
  assert.deepEqual(rpc[0], {
    p_id: ROW.id,
    p_retry_after_ms: 2_000,
    p_rate_per_second: 1,
    p_burst: 3,
  });
  assert.equal(elapsedMs(), 5_000);
});

Deno.test("own app: so does a 429 of an address, once for both", async () => {
  const { provision, calls, elapsedMs } = script({
    ...SLOT,
    "create-app": CREATED,
    addresses: NONE,
    assign: [LIMITED, LIMITED, says(200)],
  });
  await provision();
  assert.equal(calls.filter((call) => call === "delay_creates").length, 1);
  assert.equal(calls.filter((call) => call === "addresses").length, 1);
  assert.equal(elapsedMs(), 5_000);
});

Deno.test("own app: a list of addresses that is rate limited does not queue for a create", async () => {
  const { provision, calls, elapsedMs } = script({
    "create-app": CREATED,
    // Listed only after an assignment has failed.
    assign: [UNAVAILABLE, UNAVAILABLE, says(200)],
    addresses: [LIMITED, NONE],
  });
  await provision();
  assert.ok(!calls.includes("delay_creates"));
  assert.equal(elapsedMs(), 2_250);
});

Deno.test("own app: refusals for going too fast leave the patience for other failures", async () => {
  const { provision, calls } = script({
    ...SLOT,
    "create-app": [
      ...[1, 2, 3, 4, 5, 6].map(() => LIMITED),
      ...[1, 2, 3, 4].map(() => UNAVAILABLE),
      CREATED,
    ],
    addresses: NONE,
    assign: says(200),
  });
  await provision();
  assert.equal(calls.filter((call) => call === "create-app").length, 11);
  assert.equal(calls.filter((call) => call === "delay_creates").length, 6);
});

Deno.test("own app: a turn that comes too late is a rate limit", async () => {
  const { provision, calls } = script({
    "create-app": LIMITED,
    delay_creates: says(200, { outcome: "wait", wait_ms: 130_000 }),
    mark_machine_error: says(200, {
      outcome: "applied",
      machine: { ...OWN_ROW, status: "error", error_code: "fly_rate_limited", error_message: "" },
    }),
    "get-app": says(404, { error: "app not found" }),
  });
  await assert.rejects(provision(), { code: "fly_rate_limited", retryAfterSeconds: 30 });
  assert.equal(calls.filter((call) => call === "create-app").length, 1);
});
