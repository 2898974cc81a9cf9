/** The create loop's patience: attempts, pauses, deadlines, and its turn among other creates. */
import assert from "node:assert/strict";
import { AppError } from "../../supabase/functions/provision-machine/errors.ts";
import { FlyError } from "../../supabase/functions/provision-machine/fly/errors.ts";
import { createMachine } from "../../supabase/functions/provision-machine/provision/create-machine.ts";
import { lost, OWN, says, scriptProvisioning, silent, WORK_MS } from "./scripted-provisioning.ts";

const CREATED = says(200, OWN);
const NONE = says(200, []);
const FOUND = says(200, [OWN]);
const GO = says(200, { outcome: "go", wait_ms: 0 });
const UNAVAILABLE = says(503, { error: "down" });
const LIMITED = says(429, { error: "slow down" }, { "retry-after": "2" });

Deno.test("create machine: five attempts, with doubling pauses, then the last failure", async () => {
  const provisioning = scriptProvisioning({
    create: UNAVAILABLE,
    list: NONE,
    take_create_slot: GO,
  });
  const { context, input, progress, calls } = provisioning;
  await assert.rejects(
    provisioning.run(() => createMachine(context, input, progress)),
    (error) => {
      assert.ok(error instanceof AppError);
      assert.deepEqual([error.code, error.message], [
        "fly_unavailable",
        "Fly.io answered 503: down",
      ]);
      assert.ok(error.cause instanceof FlyError);
      assert.equal(error.cause.attempt, 5);
      return true;
    },
  );
  assert.equal(calls.filter((call) => call === "create iad").length, 5);
  assert.equal(provisioning.elapsedMs(), 250 + 500 + 1_000 + 2_000);
  assert.equal(progress.mayExist, true);
});

Deno.test("create machine: an image that stays missing is waited for, with growing pauses", async () => {
  const missing = { create: says(404, { error: "MANIFEST_UNKNOWN" }), take_create_slot: GO };
  const provisioning = scriptProvisioning(missing);
  const { context, input, progress, calls } = provisioning;
  await assert.rejects(
    provisioning.run(() => createMachine(context, input, progress)),
    { code: "fly_rejected", retryAfterSeconds: 60 },
  );
  assert.equal(calls.filter((call) => call === "create iad").length, 6);
  assert.equal(provisioning.elapsedMs(), 1_000 + 3_000 + 6_000 + 9_000 + 12_000);
  assert.equal(progress.mayExist, false);

  const hurried = scriptProvisioning(missing);
  hurried.clock.jump(WORK_MS - 4_000);
  await assert.rejects(
    hurried.run(() => createMachine(hurried.context, hurried.input, hurried.progress)),
    { code: "fly_rejected", retryAfterSeconds: 60 },
  );
  assert.equal(hurried.elapsedMs(), WORK_MS - 3_000);
});

Deno.test("create machine: a pause that would outlast the deadline is not begun", async () => {
  const provisioning = scriptProvisioning({
    create: says(503, { error: "down" }, { "retry-after": "100" }),
  });
  const { context, input, progress, calls } = provisioning;
  await assert.rejects(
    provisioning.run(() => createMachine(context, input, progress)),
    (error) => {
      assert.ok(error instanceof AppError);
      assert.deepEqual([error.code, error.retryAfterSeconds], ["fly_unavailable", 100]);
      return true;
    },
  );
  assert.deepEqual(calls, ["create iad"]);
  assert.equal(provisioning.elapsedMs(), 0);
});

Deno.test("create machine: without time left the failure is a timeout", async () => {
  const provisioning = scriptProvisioning({ create: silent, list: silent });
  const { context, input, progress } = provisioning;
  await assert.rejects(
    provisioning.run(() => createMachine(context, input, progress)),
    { code: "provision_timeout" },
  );
  assert.equal(context.workDeadline.remainingMs(), 0);
  assert.equal(progress.mayExist, true);
});

Deno.test("create machine: refused for going too fast, it queues again and waits for its turn", async () => {
  const provisioning = scriptProvisioning({
    create: [LIMITED, CREATED],
    delay_creates: says(200, { outcome: "wait", wait_ms: 7_000 }),
    take_create_slot: [says(200, { outcome: "wait", wait_ms: 500 }), GO],
  });
  const { context, input, progress, calls } = provisioning;
  const machine = await provisioning.run(() => createMachine(context, input, progress));
  assert.equal(machine.id, "4d891ff0a23e87");
  assert.deepEqual(calls, [
    "create iad",
    "delay_creates",
    "take_create_slot",
    "take_create_slot",
    "create iad",
  ]);
  assert.deepEqual(provisioning.arguments[0], {
    p_id: "row-1",
    p_retry_after_ms: 2_000,
    p_rate_per_second: 1,
    p_burst: 3,
  });
  assert.equal(provisioning.elapsedMs(), 7_500);
  assert.equal(context.measurements.report().ms.slot, 7_500);
});

Deno.test("create machine: a turn that comes too late is a rate limit, and nothing exists", async () => {
  const provisioning = scriptProvisioning({
    create: LIMITED,
    delay_creates: says(200, { outcome: "wait", wait_ms: 130_000 }),
  });
  const { context, input, progress } = provisioning;
  await assert.rejects(
    provisioning.run(() => createMachine(context, input, progress)),
    (error) => {
      assert.ok(error instanceof AppError);
      assert.deepEqual([error.code, error.retryAfterSeconds], ["fly_rate_limited", 30]);
      return true;
    },
  );
  assert.equal(progress.mayExist, false);
  assert.equal(provisioning.elapsedMs(), 0);
});

Deno.test("create machine: a rate limit is met twenty times, then given up", async () => {
  const provisioning = scriptProvisioning({
    create: says(429, { error: "slow down" }, { "retry-after": "1" }),
    delay_creates: says(200, { outcome: "wait", wait_ms: 1_000 }),
    take_create_slot: GO,
  });
  const { context, input, progress, calls } = provisioning;
  await assert.rejects(
    provisioning.run(() => createMachine(context, input, progress)),
    { code: "fly_rate_limited" },
  );
  assert.equal(calls.filter((call) => call === "create iad").length, 20);
  assert.equal(provisioning.elapsedMs(), 19_000);
});

Deno.test("create machine: a look-up that is rate limited does not queue for a create", async () => {
  const provisioning = scriptProvisioning({ create: lost, list: [LIMITED, FOUND] });
  const { context, input, progress, calls } = provisioning;
  await provisioning.run(() => createMachine(context, input, progress));
  assert.deepEqual(calls, ["create iad", "list", "list"]);
  assert.equal(provisioning.elapsedMs(), 250 + 2_000);
});
