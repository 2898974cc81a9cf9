/** Nothing that matters lives in memory: four processes on one Postgres are as good as one. */
import assert from "node:assert/strict";
import { runScaleOut } from "../../bench/scale-out/run.ts";
import { postgresTest } from "./postgres-test.ts";

const USERS = 24;
const MACHINES_PER_USER = 8;

/** The same with thousands of provisions is `deno task bench:scale-out`. */
postgresTest("four processes, one Postgres: keys, limits and slots are shared", async () => {
  const result = await runScaleOut({
    processes: 4,
    users: USERS,
    machinesPerUser: MACHINES_PER_USER,
    // Few calls at a time: a busy machine is to be slow here, and not to fail them.
    width: 3,
    seed: 20261101,
    rate: { perSecond: 200, burst: 50 },
  });
  const provisions = USERS * MACHINES_PER_USER;
  assert.deepEqual(result.violations, []);
  assert.equal(result.provisions, provisions, JSON.stringify(result));
  // Had one process done all the work, it would have proved nothing. How much each does is up to the
  // machine: the first of a pair to get through wins.
  assert.ok(result.byProcess.filter((created) => created > 0).length > 1, JSON.stringify(result));
  // Each key was sent twice, and two keys of each user were too many. What still fails on a
  // machine that is too busy is asked for again, and then there are more answers.
  if (result.askedAgain === 0) {
    assert.deepEqual(result.answers, { "200": 2 * provisions, "409": 2 * 2 * USERS });
  }
});
