/** Nothing that matters lives in memory: four processes on one Postgres are as good as one. */
import assert from "node:assert/strict";
import { runScaleOut } from "../../bench/scale-out/run.ts";
import { postgresTest } from "./postgres-test.ts";

/** The same with thousands of provisions is `deno task bench:scale-out`. */
postgresTest("four processes, one Postgres: keys, limits and slots are shared", async () => {
  const processes = 4;
  const users = 60;
  const result = await runScaleOut({
    processes,
    users,
    width: 8,
    seed: 20261101,
    rate: { perSecond: 200, burst: 50 },
  });
  assert.deepEqual(result.violations, []);
  assert.equal(result.provisions, 3 * users);
  assert.equal(result.answers["200"], 2 * 3 * users, "both calls with a key were answered alike");
  assert.equal(result.answers["409"], 2 * users, JSON.stringify(result.answers));
  // Had one process done all the work, the others would have proved nothing.
  for (const provisions of result.byProcess) {
    assert.ok(provisions > users / 4, `${result.byProcess}`);
  }
  assert.equal(result.byProcess.reduce((sum, n) => sum + n, 0), result.provisions);
});
