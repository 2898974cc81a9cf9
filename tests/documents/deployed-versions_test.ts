/** What is deployed, and with what, is what the tests run: the packages, and the Supabase CLI. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { SUPABASE_CLI_VERSION } from "../../dev/tasks/supabase-cli.ts";
import { FUNCTION, PROJECT_ROOT } from "../support/deployment.ts";
import { readLock, UPDATE_LOCK } from "../support/lock-file.ts";

Deno.test("what is deployed has the package versions that the tests ran with", async () => {
  const deployed = await readLock(join(PROJECT_ROOT, FUNCTION, "deno.lock"));
  const project = await readLock(join(PROJECT_ROOT, "deno.lock"));
  // Here `name@version`; in the project's lock also `name@version_<peers that it was given>`.
  const tested = new Map(
    Object.entries(project.npm).map(([key, { integrity }]) => [
      /^.[^@]*@[^_]*/.exec(key)?.[0],
      integrity,
    ]),
  );
  assert.equal(deployed.version, "4", "the only version that the hosted Deno reads");
  for (const [name, { integrity }] of Object.entries(deployed.npm)) {
    assert.equal(integrity, tested.get(name), `${name}: ${UPDATE_LOCK}`);
  }
});

Deno.test("the deploy workflow runs the Supabase CLI that is tested here", async () => {
  const workflow = await Deno.readTextFile(join(PROJECT_ROOT, ".github/workflows/deploy.yml"));
  const versions = [...workflow.matchAll(/\bsupabase@(\S+)/g)].map(([, version]) => version);
  assert.deepEqual(versions, [SUPABASE_CLI_VERSION]);
});
