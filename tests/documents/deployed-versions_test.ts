/** What is deployed, and with what, is what the tests run: the packages, and the Supabase CLI. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { z } from "zod";
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

Deno.test("workflows run the Supabase CLI that is tested here, from a lock file", async () => {
  const lock = await readLockedCli();
  assert.equal(lock["@supabase/cli-linux-x64"]?.version, SUPABASE_CLI_VERSION);
  for (const [name, { integrity }] of Object.entries(lock)) {
    assert.match(integrity ?? "", /^sha512-/, `${name} has no checksum`);
  }
  for (const [file, workflow] of await readWorkflows()) {
    assert.doesNotMatch(workflow, /npx[^\n]*supabase@/, `${file} runs a CLI without a lock file`);
    for (const [install] of workflow.matchAll(/npm (ci|install)\b[^\n]*/g)) {
      assert.match(install, /^npm ci --ignore-scripts /, `${file}: ${install}`);
    }
  }
});

Deno.test("workflows pin actions by commit, and may read and no more", async () => {
  for (const [file, workflow] of await readWorkflows()) {
    for (const [, action = ""] of workflow.matchAll(/uses: (\S+)/g)) {
      assert.match(action, /^\.\/|@[0-9a-f]{40}$/, `${file}: ${action}`);
    }
    assert.match(workflow, /^permissions:\n {2}contents: read\n\n/m, file);
  }
});

async function readWorkflows(): Promise<[file: string, text: string][]> {
  const folder = join(PROJECT_ROOT, ".github/workflows");
  const found: [string, string][] = [];
  for await (const { name } of Deno.readDir(folder)) {
    found.push([name, await Deno.readTextFile(join(folder, name))]);
  }
  assert.ok(found.length >= 2);
  return found;
}

const NpmLock = z.object({
  packages: z.record(
    z.string(),
    z.object({ version: z.string().optional(), integrity: z.string().optional() }),
  ),
});

/** The packages of the CLI's lock file by name, without the folder itself. */
async function readLockedCli(): Promise<z.infer<typeof NpmLock>["packages"]> {
  const path = join(PROJECT_ROOT, ".ci/supabase-cli/package-lock.json");
  const { packages } = NpmLock.parse(JSON.parse(await Deno.readTextFile(path)));
  return Object.fromEntries(
    Object.entries(packages).filter(([path]) => path !== "")
      .map(([path, entry]) => [path.replace(/^node_modules\//, ""), entry]),
  );
}
