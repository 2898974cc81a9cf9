/**
 * Writes supabase/schema.sql, the schema that the migrations add up to, or checks (`--check`) that
 * the committed file matches them. Needs Node.js alone: the database is PGlite in this process, and
 * pg_dump is the one that is compiled for it.
 */
import { join } from "node:path";
import type { PGlite } from "@electric-sql/pglite";
import { pgDump } from "@electric-sql/pglite-tools/pg_dump";
import { openEmptyDatabase } from "./empty-database.ts";
import { type GeneratedFile, runTask } from "./generated-file.ts";
import { arrangeDump } from "./arrange-dump.ts";

/** The current schema, for reading. */
export const SCHEMA: GeneratedFile = {
  path: "supabase/schema.sql",
  source: "the migrations",
  task: "schema",
  generate: generateSchema,
};

const HEADER = `\
-- The schema "public" as the migrations leave it on a hosted project: each table with everything
-- that belongs to it, then each function. For reading only: nothing runs this file. To change the
-- schema, add a migration and run \`deno task schema\`, which writes this file.
-- Not here: the jobs of pg_cron (20261101000600_schedule.sql).
`;

/**
 * Applies the migrations of `<projectRoot>/supabase` to an empty database and dumps the result.
 *
 * @returns the dump, arranged by table and function
 * @throws {Error} when a migration fails; the message names its file
 */
export async function generateSchema(projectRoot: string): Promise<string> {
  await using database = await openEmptyDatabase();
  await applyMigrations(database, join(projectRoot, "supabase/migrations"));
  const dump = await pgDump({
    pg: database,
    args: ["--schema-only", "--no-owner", "--exclude-schema=auth"],
  });
  return `${HEADER}${arrangeDump(await dump.text())}`;
}

async function applyMigrations(database: PGlite, directory: string): Promise<void> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(directory)) names.push(name);
  for (const name of names.sort()) {
    const sql = await Deno.readTextFile(join(directory, name));
    await database.exec(sql).catch((cause: unknown) => {
      throw new Error(`${name}: ${cause instanceof Error ? cause.message : cause}`, { cause });
    });
  }
}

if (import.meta.main) Deno.exit(await runTask(SCHEMA, Deno.args));
