/** A small share of the model test with a fixed seed; `deno task test:faults` is the large one. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { checkRandomSchedules } from "./model.ts";
import { runSchedule } from "./run-schedule.ts";
import { scheduleArbitrary } from "./schedule.ts";
import { ModelWorld } from "./model-world.ts";

const SEED = 20_261_101;
const RUNS = 50;

Deno.test(`I1 to I6 and I9 hold in ${RUNS} random schedules (seed ${SEED})`, async () => {
  await using world = await ModelWorld.open();
  const totals = await checkRandomSchedules(world, { seed: SEED, runs: RUNS });
  assert.equal(totals.schedules, RUNS);
  // The schedules of this seed are known to contain every kind of fault and outcome.
  assert.ok(totals.crashes > 5, `${totals.crashes} isolates ended`);
  assert.ok(totals.faults.size > 20, `${totals.faults.size} kinds of faults`);
  for (const status of ["running", "destroyed", "error interrupted"]) {
    assert.ok(totals.rows.has(status), `no row ended as ${status}`);
  }
});

Deno.test("a schedule runs the same way each time", async () => {
  await using world = await ModelWorld.open();
  for (const schedule of fc.sample(scheduleArbitrary, { seed: SEED, numRuns: 5 })) {
    const [first, second] = [
      await runSchedule(world, schedule),
      await runSchedule(world, schedule),
    ];
    assert.deepEqual(first.calls, second.calls);
    assert.deepEqual(first.versions, second.versions);
  }
});
