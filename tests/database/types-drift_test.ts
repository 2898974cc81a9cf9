import assert from "node:assert/strict";
import { join, resolve } from "node:path";
import { generateTypes, TYPES_PATH, typesDrift } from "../../dev/tasks/types.ts";
import { CommandError } from "../../dev/tasks/supabase-cli.ts";

const PROJECT_ROOT = resolve(import.meta.dirname ?? ".", "../..");

Deno.test("the committed database types are those of the migrations", async () => {
  const drift = await typesDrift(PROJECT_ROOT);
  assert.ok(drift === null, `run \`deno task types\`\n${drift}`);
});

Deno.test("a migration that the committed types do not know is drift", async () => {
  await using project = await copyOfProject();
  await project.addMigration("alter table public.cloud_machines add column added_later text;");
  const drift = await typesDrift(project.root);
  assert.match(drift ?? "", /^\+.*"added_later": string \| null/m);
  assert.match(drift ?? "", /^-.*"cpu_priority": string/m);
});

Deno.test("a migration that fails is named", async () => {
  await using project = await copyOfProject();
  const name = await project.addMigration("alter table public.no_such_table add column a text;");
  await assert.rejects(generateTypes(project.root), (error) => {
    assert.ok(error instanceof CommandError);
    assert.match(error.message, new RegExp(name.replaceAll(".", "\\.")));
    assert.match(error.message, /no_such_table/);
    return true;
  });
});

interface ProjectCopy extends AsyncDisposable {
  root: string;
  /** Adds the last migration and returns its file name. */
  addMigration(sql: string): Promise<string>;
}

async function copyOfProject(): Promise<ProjectCopy> {
  const root = await Deno.makeTempDir({ prefix: "types-drift-" });
  const migrations = join(root, "supabase/migrations");
  await Deno.mkdir(migrations, { recursive: true });
  await Deno.mkdir(join(root, TYPES_PATH, ".."), { recursive: true });
  await Deno.copyFile(join(PROJECT_ROOT, TYPES_PATH), join(root, TYPES_PATH));
  for await (const entry of Deno.readDir(join(PROJECT_ROOT, "supabase/migrations"))) {
    await Deno.copyFile(
      join(PROJECT_ROOT, "supabase/migrations", entry.name),
      join(migrations, entry.name),
    );
  }
  return {
    root,
    addMigration: async (sql) => {
      const name = "99991231235959_test.sql";
      await Deno.writeTextFile(join(migrations, name), sql);
      return name;
    },
    [Symbol.asyncDispose]: () => Deno.remove(root, { recursive: true }),
  };
}
