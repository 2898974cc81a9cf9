/** The function is killed under load; the short run of `deno task test:kills`. */
import assert from "node:assert/strict";
import { runKills } from "./kill-run.ts";
import { postgresTest } from "./postgres-test.ts";

/** The long run, with another seed each time, is `deno task test:kills`. */
for (
  const { name, ...where } of [
    { name: "a shared app", ownApps: false },
    { name: "an app for each machine, some standing by", ownApps: true, pool: "stopped" as const },
  ]
) {
  postgresTest(
    `SIGKILL under load, ${name}: reconcile repairs what the dead left`,
    () => killUnderLoad(where),
  );
}

async function killUnderLoad(
  where: { ownApps: boolean; pool?: "stopped" },
): Promise<void> {
  const report = await runKills({
    seed: 20261101,
    kills: 5,
    ...where,
    isolates: 2,
    users: 10,
    longestLifeMs: 1_200,
  });
  assert.deepEqual(report.violations, [], JSON.stringify(report));
  assert.equal(report.kills, 5);
  // A run in which no call was interrupted, or no machine was made, would prove nothing.
  assert.ok((report.answers["provision no answer"] ?? 0) > 0, JSON.stringify(report));
  assert.ok(report.machinesCreated > 1, JSON.stringify(report));
  assert.equal(
    (report.poolClaims["hit"] ?? 0) > 0,
    where.pool !== undefined,
    JSON.stringify(report),
  );
}
