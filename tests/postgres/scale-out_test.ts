/** Nothing that matters lives in memory: four processes on one Postgres are as good as one. */
import assert from "node:assert/strict";
import { runScaleOut } from "../../bench/scale-out/run.ts";
import { postgresTest } from "./postgres-test.ts";

/** The same with thousands of provisions is `deno task bench:scale-out`. */
postgresTest("four processes, one Postgres: keys, limits and slots are shared", async () => {
  const processes = 4;
  const users = 24;
  const machinesPerUser = 8;
  const result = await runScaleOut({
    processes,
    users,
    machinesPerUser,
    width: 3,
    seed: 20261101,
    rate: { perSecond: 200, burst: 50 },
  });
  assert.deepEqual(result.violations, []);
  const provisions = users * machinesPerUser;
  assert.equal(result.provisions, provisions);
  // Each key was sent twice, and two keys of each user were too many.
  assert.deepEqual(result.answers, { "200": 2 * provisions, "409": 2 * 2 * users });
  // Had one process done all the work, the others would have proved nothing.
  for (const n of result.byProcess) assert.ok(n > provisions / 16, `${result.byProcess}`);
  assert.equal(result.byProcess.reduce((sum, n) => sum + n, 0), provisions);
});
