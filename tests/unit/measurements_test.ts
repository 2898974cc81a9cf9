/** Measurements: milliseconds by phase and the calls that failed, for the summary. */
import assert from "node:assert/strict";
import { VirtualClock } from "../../dev/stack/clock.ts";
import { FlyError } from "../../supabase/functions/provision-machine/fly/errors.ts";
import { Measurements } from "../../supabase/functions/provision-machine/logging/measurements.ts";

Deno.test("measurements: nothing measured, nothing but the attempts", () => {
  assert.deepEqual(new Measurements(new VirtualClock()).report(), { ms: {}, attempts: 0 });
});

Deno.test("measurements: phases add up, also when they fail", async () => {
  const clock = new VirtualClock();
  const measurements = new Measurements(clock);
  const lasting = (ms: number) => () => clock.sleep(ms).then(() => ms);
  assert.equal(await clock.run(measurements.time("create", lasting(30))), 30);
  await clock.run(measurements.time("create", lasting(12)));
  const failing = measurements.time("wait", () =>
    clock.sleep(5).then(() => {
      throw new Error("failed");
    }));
  await assert.rejects(clock.run(failing), { message: "failed" });
  assert.deepEqual(measurements.report().ms, { create: 42, wait: 5 });
});

Deno.test("measurements: failed calls with what was done about them, the newest six", () => {
  const measurements = new Measurements(new VirtualClock());
  measurements.region = "iad";
  measurements.createAttempts = 9;
  for (let n = 1; n <= 8; n++) {
    measurements.failedCall(
      "create",
      new FlyError("status", `failure ${n}`),
      `trying again (${n})`,
    );
  }
  measurements.failedCall("wait", new FlyError("network", "no answer"));
  const { failedCalls, attempts, region } = measurements.report();
  assert.deepEqual({ attempts, region }, { attempts: 9, region: "iad" });
  assert.deepEqual(failedCalls, [
    ...[4, 5, 6, 7, 8].map((n) => `create: failure ${n}, trying again (${n})`),
    "wait: no answer, giving up",
  ]);
});

Deno.test("measurements: a long reason is shortened", () => {
  const measurements = new Measurements(new VirtualClock());
  measurements.failedCall("create", new FlyError("status", "x".repeat(500)));
  assert.equal(
    measurements.report().failedCalls?.[0],
    `create: ${"x".repeat(152)}…[cut, 519 characters in all]`,
  );
});

Deno.test("measurements: Fly.io's request ids in the order of the calls, the first and the last five", () => {
  const measurements = new Measurements(new VirtualClock());
  for (let n = 1; n <= 10; n++) measurements.flyRequestIds.push(`id-${n}`);
  measurements.failedCall("create", new FlyError("status", "no", { flyRequestId: "id-11" }));
  measurements.failedCall("create", new FlyError("network", "no"));
  assert.deepEqual(measurements.report().flyRequestIds, [
    "id-1",
    "id-2",
    "id-3",
    "id-4",
    "id-5",
    "id-8",
    "id-9",
    "id-10",
    "id-11",
    null,
  ]);
});
