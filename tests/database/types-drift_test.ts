/** The committed database types match the migrations. */
import assert from "node:assert/strict";
import { driftOf } from "../../dev/tasks/generated-file.ts";
import { CommandError } from "../../dev/tasks/supabase-cli.ts";
import { generateTypes, TYPES } from "../../dev/tasks/types.ts";
import { copyProject, PROJECT_ROOT } from "./project-copy.ts";

Deno.test("the committed database types are those of the migrations", async () => {
  const drift = await driftOf(TYPES, PROJECT_ROOT);
  assert.ok(drift === null, `run \`deno task types\`\n${drift}`);
});

Deno.test("a migration that is missing from the committed types is drift", async () => {
  await using project = await copyProject(TYPES.path);
  await project.addMigration("alter table public.cloud_machines add column added_later text;");
  const drift = await driftOf(TYPES, project.root);
  assert.match(drift ?? "", /^\+.*"added_later": string \| null/m);
  assert.match(drift ?? "", /^-.*"cpu_priority": string/m);
});

Deno.test("a migration that fails is named", async () => {
  await using project = await copyProject(TYPES.path);
  const name = await project.addMigration("alter table public.no_such_table add column a text;");
  await assert.rejects(generateTypes(project.root), (error) => {
    assert.ok(error instanceof CommandError);
    assert.match(error.message, new RegExp(name.replaceAll(".", "\\.")));
    assert.match(error.message, /no_such_table/);
    return true;
  });
});
