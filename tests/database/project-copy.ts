/** A copy of the project's migrations and one generated file, to which a test adds a migration. */
import { dirname, join, resolve } from "node:path";

/** The project that the tests are part of. */
export const PROJECT_ROOT = resolve(import.meta.dirname ?? ".", "../..");

/** A folder with what the generators read. Disposing removes it. */
export interface ProjectCopy extends AsyncDisposable {
  root: string;
  /** Adds the last migration and returns its file name. */
  addMigration(sql: string): Promise<string>;
}

/** @param path the generated file to copy, relative to the project's root */
export async function copyProject(path: string): Promise<ProjectCopy> {
  const root = await Deno.makeTempDir({ prefix: "drift-" });
  const migrations = join(root, "supabase/migrations");
  await Deno.mkdir(migrations, { recursive: true });
  await Deno.mkdir(dirname(join(root, path)), { recursive: true });
  await Deno.copyFile(join(PROJECT_ROOT, path), join(root, path));
  for await (const { name } of Deno.readDir(join(PROJECT_ROOT, "supabase/migrations"))) {
    await Deno.copyFile(join(PROJECT_ROOT, "supabase/migrations", name), join(migrations, name));
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
