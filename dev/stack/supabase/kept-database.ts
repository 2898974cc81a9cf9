/**
 * A database as the platform and this project's migrations leave it, kept between starts on PGlite.
 *
 * Preparing one takes 1.5 s of processor time, for most of Postgres then runs before the runtime
 * has compiled it. What is kept is named by a digest of all that it was made of, so it is never
 * stale: a changed migration makes another.
 */
import { z } from "zod";
import { type DataDir, packDataDir, readDataDir } from "./data-dir.ts";
import type { StackDatabase } from "./database.ts";
import { versionOf } from "./fresh-data-dir.ts";
import { forget, forgetAllBut, keep, readKept } from "./kept-files.ts";
import type { Migration } from "./migrations.ts";
import { platformSql } from "./platform.ts";

type Schema = Awaited<ReturnType<StackDatabase["connection"]["introspect"]>>;

/** A kept database, about to be loaded. */
export interface KeptDatabase {
  dataDir: DataDir;
  /** What lite reads of the schema. */
  schema: Schema;
  /** Statements that each start runs; see {@link keepDatabase}. */
  drawnAnew: string;
}

const PREFIX = "pglite-migrated-";

/** Branches with other migrations take turns; more files than this would only fill the disk. */
const FILES_KEPT = 4;

const NoteSchema = z.object({
  schema: z.custom<Schema>((value) =>
    z.object({ tables: z.array(z.unknown()) }).safeParse(value).success
  ),
  drawnAnew: z.string(),
});

/** The file of the database that these migrations make. */
export async function keptDatabaseFile(
  cacheDir: string,
  migrations: Migration[],
  exposeNewTables: boolean,
): Promise<string> {
  const madeOf = JSON.stringify([
    versionOf("@electric-sql/pglite"),
    versionOf("@supabase/lite"),
    platformSql(exposeNewTables),
    migrations.map(({ file, sql }) => [file, sql]),
    DRAWN_ANEW_SQL,
  ]);
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(madeOf));
  return `${cacheDir}/${PREFIX}${new Uint8Array(digest).toHex()}.bin`;
}

/** Reads a kept database; `undefined` when there is none, or it is damaged. */
export async function readKeptDatabase(
  file: string,
  onProgress: (step: string) => void,
): Promise<KeptDatabase | undefined> {
  const packed = await readKept(file);
  if (packed === undefined) return undefined;
  try {
    const dataDir = readDataDir(packed);
    return { dataDir, ...NoteSchema.parse(dataDir.note) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    onProgress(`the kept database cannot be read, making a new one: ${reason}`);
    await forget(file);
    return undefined;
  }
}

/**
 * Keeps the database as it is now, without a row that anyone but a migration wrote.
 *
 * Some of those rows have columns that the database filled by chance or by the clock, such as a
 * random identity. Two databases must not share it, so each start draws these columns anew.
 */
export async function keepDatabase(
  file: string,
  database: StackDatabase,
  onProgress: (step: string) => void,
): Promise<void> {
  const { connection } = database;
  if (!("waitReady" in connection.driver)) throw new Error("only PGlite can be kept");
  const { driver } = connection;
  const schema = await database.exclusive(() => connection.introspect({ useCache: true }));
  const [row] = await database.query(DRAWN_ANEW_SQL);
  const drawnAnew = z.string().parse(row?.statements);
  const packed = await database.exclusive(() => packDataDir(driver, { schema, drawnAnew }));
  const directory = file.slice(0, file.lastIndexOf("/"));
  await keep(file, packed).then(() => forgetAllBut(FILES_KEPT, directory, PREFIX)).catch((error) =>
    onProgress(`could not keep the database in ${directory}: ${error.message}`)
  );
}

/** One UPDATE for each table that has such columns; without rows it does nothing. */
const DRAWN_ANEW_SQL = `
  select coalesce(string_agg(statement, ' '), '') as statements from (
    select format('update %s set %s;', c.oid::regclass,
      string_agg(format('%I = default', a.attname), ', ' order by a.attnum)) as statement
    from pg_class c
      join pg_attribute a on a.attrelid = c.oid and not a.attisdropped
      join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and pg_relation_size(c.oid) > 0
      and a.attgenerated = ''
      and pg_get_expr(d.adbin, d.adrelid) ~ '\\y(now|clock_timestamp|statement_timestamp|transaction_timestamp|random|gen_random_uuid)\\(|CURRENT_'
    group by c.oid
  ) as statements
`;
