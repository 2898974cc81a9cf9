/** The function is killed under load; the short run of `deno task test:kills`. */
import assert from "node:assert/strict";
import { runKills } from "./kill-run.ts";
import { postgresTest } from "./postgres-test.ts";

/** The long run, with another seed each time, is `deno task test:kills`. */
for (const ownApps of [false, true]) {
  const where = ownApps ? "an app for each machine" : "a shared app";
  postgresTest(
    `SIGKILL under load, ${where}: reconcile repairs what the dead left`,
    () => killUnderLoad(ownApps),
  );
}

async function killUnderLoad(ownApps: boolean): Promise<void> {
  const report = await runKills({
    seed: 20261101,
    kills: 5,
    ownApps,
    isolates: 2,
    users: 10,
    longestLifeMs: 1_200,
  });
  assert.deepEqual(report.violations, [], JSON.stringify(report));
  assert.equal(report.kills, 5);
  // A run in which no call was interrupted, or no machine was made, would prove nothing.
  assert.ok((report.answers["provision no answer"] ?? 0) > 0, JSON.stringify(report));
  assert.ok(report.machinesCreated > 1, JSON.stringify(report));
}
