/** Fly.io's refusals: what each text on record means, and what callers are advised. */
import assert from "node:assert/strict";
import { VirtualClock } from "../../dev/stack/clock.ts";
import { AppError } from "../../supabase/functions/provision-machine/errors.ts";
import {
  FlyError,
  toProvisioningError,
} from "../../supabase/functions/provision-machine/fly/errors.ts";
import type { Refusal } from "../../supabase/functions/provision-machine/fly/refusals.ts";
import { Deadline } from "../../supabase/functions/provision-machine/time.ts";

/** Where a number was never published, each that was seen for such a text. */
const UNPUBLISHED = [400, 402, 403, 409, 412, 422];

const MACHINE_LIMIT =
  "Your organization has reached its machine limit. Please contact billing@fly.io";
const NO_MEMORY =
  "aborted: could not reserve resource for machine: insufficient memory available to fulfill request";
const TAKEN = "already_exists: unique machine name violation, machine ID 4d89640 already exists";

const RECORDED: [statuses: number[], body: Record<string, string>, means: Refusal | undefined][] = [
  [[422], { error: MACHINE_LIMIT }, "account_limit"],
  [[422], { error: "Your organization has reached its machine limit" }, "account_limit"],
  [[422], { error: "Please contact billing@fly.io" }, "account_limit"],
  [UNPUBLISHED, {
    error:
      "To create more than 1 machine per app please add a payment method. https://fly.io/dashboard/x/billing",
  }, "account_limit"],
  [UNPUBLISHED, { error: "payment method required to continue" }, "account_limit"],
  [UNPUBLISHED, { error: "We need your payment information to continue!" }, "account_limit"],
  [UNPUBLISHED, {
    error: "trial has ended, please add a credit card by visiting https://fly.io/trial",
  }, "account_limit"],
  [UNPUBLISHED, { error: "trial has ended" }, "account_limit"],
  [UNPUBLISHED, { error: "Add a credit card or buy credit" }, "account_limit"],

  [[403], {
    error: 'organization "demo" is using 1970176 MB of memory in dfw which is over the allowed ' +
      "quota. please consider other regions",
  }, "region_quota"],
  [[400, 412, 422], {
    error: "Region bom is deprecated and cannot have new resources provisioned. Please consider " +
      "using an alternate region such as sin",
  }, "region_retired"],

  [[409, 412, 422, 503], { error: "no host", status: "insufficient_capacity" }, "no_room"],
  [[412, 422], { error: "no host", status: "volume_placement_capacity" }, "no_room"],
  [[409], { error: NO_MEMORY }, "no_room"],
  [[409], { error: "could not reserve resource for machine" }, "no_room"],
  [[409, 412], {
    error: "insufficient resources available to fulfill request: insufficient memory available",
  }, "no_room"],
  [[412], {
    error: "insufficient resources to create new machine with existing volume",
  }, "no_room"],
  [[409], { error: "insufficient CPUs available to fulfill request" }, "no_room"],
  [[409], { error: "insufficient memory available to fulfill request" }, "no_room"],
  [[409], { error: "insufficient IPs available" }, "no_room"],
  [[409], { error: "governor policy blocked start" }, "no_room"],
  [[400], { error: "no capacity" }, "no_room"],
  [[503], { error: "out of capacity" }, "no_room"],
  [[409], { error: "insufficient capacity" }, "no_room"],
  // Room counts more than the name: the next region is free to take it.
  [[409], { error: `${TAKEN}; no capacity` }, "no_room"],

  [[400, 404], {
    error: "failed to get manifest registry.fly.io/my-app:v2: [http 404]: " +
      '{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}',
  }, "image_missing"],
  [[400, 404], { error: 'Could not find image "registry.fly.io/my-app:v2"' }, "image_missing"],
  // Fly.io failed at it, and may have gone on.
  [[500], { error: "MANIFEST_UNKNOWN" }, undefined],

  [[409], {
    status: "error",
    message:
      "machine ID 3d8d315a293278 lease currently held by ops@example.com, expires at 2026-11-26T06:00:00Z",
  }, "busy"],
  [UNPUBLISHED, {
    error: "failed_precondition: machine still active, refusing to start",
  }, "busy"],
  [UNPUBLISHED, {
    error: "failed_precondition: machine getting replaced, refusing to start",
  }, "busy"],
  [UNPUBLISHED, { error: "aborted: machine still attempting to start" }, "already_starting"],
  [[409, 503], {
    error: "unavailable: deploys to this host are temporarily disabled",
  }, "busy"],

  [[409, 422], { error: TAKEN }, "name_taken"],
  [[409, 422], { error: "already_exists" }, "name_taken"],
  [[409, 422], { error: "the machine already exists" }, "name_taken"],
  [[422], { error: "Validation failed: Name has already been taken" }, "name_taken"],
  [[422], { error: "x", status: "name_taken" }, "name_taken"],
  [[422], { error: "uniqueness constraint violated" }, "name_taken"],
  [[400, 404, 500], { error: TAKEN }, undefined],

  [[401], { error: "Authenticate: token validation error" }, undefined],
  [[403], { error: "unauthorized" }, undefined],
  [[404], { error: "not_found: machine not found" }, undefined],
  [[412], { error: "failed_precondition: min_secrets_version 3 is not available" }, undefined],
  [[412], {
    error: "failed_precondition: unable to start machine from current state: 'created'",
  }, "wrong_state"],
  [[422], { error: "insufficient permissions" }, undefined],
  [[422], { error: "invalid config.env: PAYMENT_METHOD, CAPACITY, QUOTA" }, undefined],
  [[429], { error: "rate limit exceeded" }, undefined],
  [[500, 502], { error: "internal server error" }, undefined],
];

const CODES: Record<Refusal, string> = {
  account_limit: "fly_account_limit",
  region_quota: "fly_capacity",
  region_retired: "fly_capacity",
  no_room: "fly_capacity",
  image_missing: "fly_rejected",
  busy: "fly_unavailable",
  already_starting: "fly_unavailable",
  wrong_state: "fly_rejected",
  name_taken: "fly_unavailable",
};

const refused = (status: number, body: unknown, retryAfterMs?: number) =>
  new FlyError("status", "refused", { status, body: JSON.stringify(body), retryAfterMs });

for (const [statuses, body, means] of RECORDED) {
  const text = `${body["error"] ?? body["message"]} ${body["status"] ?? ""}`.trim();
  Deno.test(`refusals: ${means ?? "no more than the status"}: ${statuses.join(", ")} ${text}`, () => {
    for (const status of statuses) {
      const failure = refused(status, body);
      assert.equal(failure.refusal, means, String(status));
      if (means !== undefined) assert.equal(failure.code, CODES[means]);
    }
  });
}

Deno.test("refusals: every meaning has a text on record", () => {
  const found = new Set(RECORDED.flatMap(([, , means]) => means ?? []));
  assert.deepEqual([...found].sort(), Object.keys(CODES).sort());
});

Deno.test("refusals: an answer that is no error, or none at all, refuses nothing", () => {
  for (const kind of ["body", "network", "timeout"] as const) {
    assert.equal(new FlyError(kind, "", { status: 200, body: "no capacity" }).refusal, undefined);
  }
});

Deno.test("refusals: only what may have taken effect is looked for", () => {
  const mayHave = ([status, text]: [number, string]) =>
    refused(status, { error: text }).mayHaveTakenEffect;
  assert.deepEqual(
    ([[422, MACHINE_LIMIT], [409, NO_MEMORY], [404, "MANIFEST_UNKNOWN"], [409, TAKEN]] as const)
      .map(([status, text]) => mayHave([status, text])),
    [false, false, false, true],
  );
});

Deno.test("refusals: an image that is missing says nothing about the app", () => {
  const text = 'Could not find image "registry.fly.io/my-app:v2"';
  assert.equal(refused(404, { error: text }).appIsUnknown, false);
  assert.equal(refused(404, { error: "Could not find App" }).appIsUnknown, true);
});

Deno.test("refusals: the advice and the Retry-After of each", () => {
  const deadline = Deadline.after(new VirtualClock(), 1_000);
  const answer = (status: number, error: string, retryAfterMs?: number) => {
    const { code, hint, retryAfterSeconds } = toProvisioningError(
      refused(status, { error }, retryAfterMs),
      deadline,
    );
    return { code, hint, retryAfterSeconds };
  };
  const usual = (code: "fly_account_limit" | "fly_capacity" | "fly_unavailable") => {
    const { hint, retryAfterSeconds } = new AppError(code, "");
    return { code, hint, retryAfterSeconds };
  };
  assert.deepEqual(answer(422, MACHINE_LIMIT), usual("fly_account_limit"));
  assert.equal(usual("fly_account_limit").retryAfterSeconds, undefined);
  assert.deepEqual(answer(409, NO_MEMORY), usual("fly_capacity"));
  assert.deepEqual(answer(409, "lease currently held by x"), usual("fly_unavailable"));

  const quota = answer(403, "over the allowed quota");
  assert.match(quota.hint, /choose another region/);
  assert.deepEqual([quota.code, quota.retryAfterSeconds], ["fly_capacity", 60]);
  const retired = answer(400, "cannot have new resources provisioned");
  assert.match(retired.hint, /closed this region .*choose another region/);
  const image = answer(404, "MANIFEST_UNKNOWN");
  assert.match(image.hint, /image; if it was just pushed, try again/);
  assert.deepEqual([image.code, image.retryAfterSeconds], ["fly_rejected", 60]);
  // What Fly.io asks for goes before what we suppose.
  assert.equal(answer(404, "MANIFEST_UNKNOWN", 7_000).retryAfterSeconds, 7);
});
