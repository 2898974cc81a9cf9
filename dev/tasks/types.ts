/**
 * Writes the function's database types from the migrations, or checks (`--check`) that the
 * committed file is what they give. Needs Node.js alone: the database is PGlite in this process, and
 * the Supabase CLI applies the migrations and reads the schema, as it does for a hosted project.
 */
import { join, resolve } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { createTwoFilesPatch } from "diff";
import { servePostgres } from "../stack/postgres/socket.ts";
import { runSupabaseCli } from "./supabase-cli.ts";

/** The generated file, relative to the project's root. Kept as the CLI prints it. */
export const TYPES_PATH = "supabase/functions/provision-machine/database/types.ts";

// What every Supabase database has before the first migration, as far as migrations refer to it.
// https://supabase.com/docs/guides/database/postgres/roles
const PLATFORM_SQL = `
  create role anon nologin;
  create role authenticated nologin;
  create role service_role nologin bypassrls;
  create schema auth;
  create table auth.users (id uuid primary key);
  create function auth.uid() returns uuid language sql stable
    as $$ select nullif(current_setting('request.jwt.claim.sub', true), '')::uuid $$;
  create publication supabase_realtime;
`;

/**
 * Applies the migrations of `<projectRoot>/supabase` to an empty database and describes the result.
 *
 * @returns the TypeScript that `supabase gen types` prints for the schema `public`
 * @throws {CommandError} when a migration fails; the message names its file
 */
export async function generateTypes(projectRoot: string): Promise<string> {
  await using database = await PGlite.create();
  await database.exec(PLATFORM_SQL);
  await using socket = await servePostgres(database);
  const target = `--remote=${socket.url}`;
  await runSupabaseCli(["db", "push", "--yes", target], { workdir: projectRoot });
  const { stdout } = await runSupabaseCli(
    ["gen", "types", "--lang", "typescript", "--schema", "public", target],
    { workdir: projectRoot },
  );
  return stdout;
}

/**
 * Compares the committed types with the generated ones.
 *
 * @returns a unified diff, or `null` when they are equal
 */
export async function typesDrift(projectRoot: string): Promise<string | null> {
  const generated = await generateTypes(projectRoot);
  const committed = await Deno.readTextFile(join(projectRoot, TYPES_PATH)).catch(
    (error: unknown) => {
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    },
  );
  if (generated === committed) return null;
  return createTwoFilesPatch(
    TYPES_PATH,
    `${TYPES_PATH} (from the migrations)`,
    committed,
    generated,
  );
}

async function main(args: readonly string[]): Promise<number> {
  const print = (text: string) => Deno.stderr.write(new TextEncoder().encode(`${text}\n`));
  const projectRoot = resolve(import.meta.dirname ?? ".", "../..");
  const [flag, ...rest] = args;
  if (rest.length > 0 || (flag !== undefined && flag !== "--check")) {
    await print(`unknown arguments: ${args.join(" ")}\nusage: deno task types [--check]`);
    return 2;
  }
  if (flag === "--check") {
    const drift = await typesDrift(projectRoot);
    if (drift === null) return 0;
    await print(`${drift}\n${TYPES_PATH} differs from the migrations: run \`deno task types\``);
    return 1;
  }
  await Deno.writeTextFile(join(projectRoot, TYPES_PATH), await generateTypes(projectRoot));
  await print(`wrote ${TYPES_PATH}`);
  return 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
