/**
 * Applies `supabase/migrations/*.sql` as the Supabase CLI does, with its history table.
 */
import { splitSqlStatements } from "@supabase/lite";
import type { StackDatabase } from "./database.ts";

/** One migration file, named `<version>_<name>.sql`. */
export interface Migration {
  file: string;
  version: string;
  name: string;
  sql: string;
}

/**
 * Applies the migrations that the database's history lacks, in order of version, each in one
 * transaction with its history row.
 *
 * @returns the file names that were applied
 * @throws Error that names the file with Postgres' message, line, detail and hint; also when the
 *   history knows a version that no file has
 */
export async function applyMigrations(
  database: StackDatabase,
  migrations: Migration[],
  onProgress: (step: string) => void,
): Promise<string[]> {
  await refuseUnknownHistory(database, migrations);
  const applied: string[] = [];
  for (const migration of migrations) {
    if (await applyOnce(database, migration, () => onProgress(`migration ${migration.file}`))) {
      applied.push(migration.file);
    }
  }
  await database.exclusive(() => database.connection.clearSchemaCache());
  return applied;
}

/**
 * The migrations of a directory, in order of version.
 *
 * @throws Error when there is no such directory, or a file name is not a migration's
 */
export async function readMigrations(directory: URL): Promise<Migration[]> {
  const migrations: Migration[] = [];
  try {
    for await (const entry of Deno.readDir(directory)) {
      if (!entry.isFile || !entry.name.endsWith(".sql")) continue;
      const [, version, name] = /^(\d+)_(.*)\.sql$/.exec(entry.name) ?? [];
      if (version === undefined || name === undefined) {
        throw new Error(
          `${entry.name} in ${directory.pathname} is not named <timestamp>_<name>.sql`,
        );
      }
      const sql = await Deno.readTextFile(new URL(encodeURIComponent(entry.name), directory));
      migrations.push({ file: entry.name, version, name, sql });
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(`There is no directory of migrations at ${directory.pathname}`);
  }
  migrations.sort((a, b) => a.file < b.file ? -1 : 1);
  for (const [index, { file, version }] of migrations.entries()) {
    const previous = migrations[index - 1];
    if (previous?.version === version) {
      throw new Error(`${previous.file} and ${file} have the same version ${version}`);
    }
  }
  return migrations;
}

async function refuseUnknownHistory(
  database: StackDatabase,
  migrations: Migration[],
): Promise<void> {
  const known = new Set(migrations.map(({ version }) => version));
  const history = await database.query(
    "select version from supabase_migrations.schema_migrations order by version",
  );
  const unknown = history.map(({ version }) => String(version)).filter((v) => !known.has(v));
  if (unknown.length > 0) {
    throw new Error(
      `The database has migrations that no file in the migrations directory has: ${
        unknown.join(", ")
      }. Use an empty database.`,
    );
  }
}

async function applyOnce(
  database: StackDatabase,
  { file, version, name, sql }: Migration,
  onApply: () => void,
): Promise<boolean> {
  return await database.transaction(async (transaction) => {
    const [done] = await transaction.query(
      "select from supabase_migrations.schema_migrations where version = $1",
      [version],
    );
    if (done !== undefined) return false;
    onApply();
    await transaction.script(sql).catch((error) => {
      throw new Error(`Migration ${file} failed: ${describe(error, sql)}`, { cause: error });
    });
    await transaction.query(
      `insert into supabase_migrations.schema_migrations (version, name, statements)
       values ($1, $2, $3)`,
      [version, name, splitSqlStatements(sql)],
    );
    return true;
  });
}

/** Postgres' message with the line it points at, its detail and its hint. */
function describe(error: unknown, sql: string): string {
  if (!(error instanceof Error)) return String(error);
  const fields = error as Error & Partial<Record<"position" | "detail" | "hint", string>>;
  const position = Number(fields.position);
  const line = position > 0 ? ` (line ${sql.slice(0, position).split("\n").length})` : "";
  return [error.message + line, fields.detail, fields.hint && `Hint: ${fields.hint}`]
    .filter(Boolean)
    .join(" ");
}
