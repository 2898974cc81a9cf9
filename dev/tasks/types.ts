/**
 * Writes the function's database types from the migrations, or checks (`--check`) that the
 * committed file matches them. Needs Node.js alone: the database is PGlite in this process, and
 * the Supabase CLI applies the migrations and reads the schema, as it does for a hosted project.
 */
import { servePostgres } from "../stack/postgres/socket.ts";
import { openEmptyDatabase } from "./empty-database.ts";
import { type GeneratedFile, runTask } from "./generated-file.ts";
import { runSupabaseCli } from "./supabase-cli.ts";

/** The function's database types, kept as the CLI prints them. */
export const TYPES: GeneratedFile = {
  path: "supabase/functions/provision-machine/database/types.ts",
  source: "the migrations",
  task: "types",
  generate: generateTypes,
};

/**
 * Applies the migrations of `<projectRoot>/supabase` to an empty database and describes the result.
 *
 * @returns the TypeScript that `supabase gen types` prints for the schema `public`
 * @throws {CommandError} when a migration fails; the message names its file
 */
export async function generateTypes(projectRoot: string): Promise<string> {
  await using database = await openEmptyDatabase();
  await using socket = await servePostgres(database);
  const target = `--remote=${socket.url}`;
  await runSupabaseCli(["db", "push", "--yes", target], { workdir: projectRoot });
  const { stdout } = await runSupabaseCli(
    ["gen", "types", "--lang", "typescript", "--schema", "public", target],
    { workdir: projectRoot },
  );
  return stdout;
}

if (import.meta.main) Deno.exit(await runTask(TYPES, Deno.args));
