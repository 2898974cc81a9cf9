/** The database: can it be reached, has it every migration, is there room? */
import { type Check, CLI, type Problem, reasonOf, type Skipped, type Subject } from "../check.ts";

export const NO_DATABASE: Skipped = {
  skipped:
    "DATABASE_URL is not set (the connection string on the project's page, with its password)",
};
/** Of the 500 MB that a free project has. https://supabase.com/docs/guides/platform/database-size */
const FULL_BYTES = 400 * 1024 * 1024;

export const MIGRATIONS: Check = {
  name: "migrations",
  async run(subject) {
    const { sql } = subject;
    if (sql === null) return NO_DATABASE;
    try {
      await sql`select 1`;
    } catch (error) {
      return [{
        says: `the database cannot be reached with DATABASE_URL: ${reasonOf(error)}`,
        fix: "copy the connection string of the session pooler from the project's page Connect",
      }];
    }
    return [...await migrationProblems(subject), ...await serverProblems(subject)];
  },
};

async function migrationProblems({ sql, migrations }: Subject): Promise<Problem[]> {
  if (sql === null) return [];
  const push = `${CLI} db push --remote`;
  const [history] = await sql`select to_regclass('supabase_migrations.schema_migrations') as found`;
  if (history?.["found"] === null) {
    return [{ says: "no migration was ever applied to the database", fix: push }];
  }
  const rows = await sql<{ version: string }[]>`
    select version from supabase_migrations.schema_migrations order by version`;
  const applied = new Set(rows.map(({ version }) => version));
  const pending = migrations.filter((version) => !applied.has(version));
  const newest = migrations.at(-1) ?? "";
  const unknown = [...applied].filter((version) => !migrations.includes(version));
  const found: Problem[] = [];
  if (pending.length > 0) {
    found.push({
      says: `${pending.length} migrations are not applied, the first is ${pending[0]}`,
      fix: push,
    });
  }
  if (unknown.some((version) => version > newest)) {
    found.push({
      says: `the database has migrations that this code does not: ${unknown.join(", ")}`,
      fix: `git pull, then ${CLI} functions deploy provision-machine --use-api`,
    });
  }
  return found;
}

async function serverProblems({ sql, majorVersion }: Subject): Promise<Problem[]> {
  if (sql === null) return [];
  const [server] = await sql<{ major: number; bytes: string }[]>`
    select current_setting('server_version_num')::integer / 10000 as major,
      pg_database_size(current_database())::text as bytes`;
  const found: Problem[] = [];
  if (server !== undefined && server.major !== majorVersion) {
    found.push({
      says:
        `the database is Postgres ${server.major}, and supabase/config.toml says ${majorVersion}`,
      fix: `set major_version = ${server.major} under [db] in supabase/config.toml`,
    });
  }
  if (Number(server?.bytes) > FULL_BYTES) {
    const megabytes = Math.round(Number(server?.bytes) / 1024 / 1024);
    found.push({
      says: `the database has ${megabytes} MB; a free project becomes read-only at 500`,
      fix: "select public.prune_history(30), or another plan",
    });
  }
  return found;
}
