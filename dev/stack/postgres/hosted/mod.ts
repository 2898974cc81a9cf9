/**
 * A throw-away Postgres arranged as a hosted project's: a superuser `supabase_admin`, a `postgres` that
 * is none, Supabase's roles, default privileges and event triggers, and the extensions that the
 * schedule of reconcile needs. An extension that is installed is the real one; for the others their
 * schema stands in, which never sends a request, encrypts or runs a job.
 */
import postgres from "postgres";
import {
  findPostgres,
  INSTALL_POSTGRES,
  type PostgresServer,
  startPostgres,
  type StartPostgresOptions,
} from "../mod.ts";

/** What the schedule of reconcile needs; see `20261101000600_schedule.sql`. */
const EXTENSIONS = ["pg_cron", "pg_net", "supabase_vault"] as const;

/** A server like a hosted project's. */
export interface HostedPostgres extends AsyncDisposable {
  server: PostgresServer;
  /** As `postgres`, which owns what migrations make and is no superuser. */
  url: string;
  /** As the superuser `supabase_admin`, whom no project's owner can be. */
  adminUrl: string;
  /** The extensions that are real here. */
  real: ReadonlySet<string>;
}

/** Starts a server and arranges its database. @throws Error as {@link startPostgres} does */
export async function startHostedPostgres(
  options: StartPostgresOptions = {},
): Promise<HostedPostgres> {
  const binaries = options.binaries ?? await findPostgres();
  if (binaries === null) throw new Error(INSTALL_POSTGRES);
  const hasCron = await hasLibraryOfCron(binaries);
  const server = await startPostgres({
    ...options,
    binaries,
    superuser: "supabase_admin",
    settings: {
      // As hosted; advisors and doctor read both.
      wal_level: "logical",
      ...(hasCron ? { shared_preload_libraries: "pg_cron", "cron.database_name": "postgres" } : {}),
      ...options.settings,
    },
  });
  const sql = postgres(server.url, { max: 1, onnotice: () => {} });
  try {
    await sql.unsafe(await read("platform"));
    const real = new Set<string>();
    for (const name of EXTENSIONS) if (await addExtension(sql, name)) real.add(name);
    // `supabase db lint` looks for it, and hosted projects may create it.
    await sql.unsafe(`do $$ begin
      if exists (select from pg_available_extensions where name = 'plpgsql_check') then
        create extension plpgsql_check schema extensions;
      end if;
    end $$`);
    return {
      server,
      adminUrl: server.url,
      url: server.url.replace("supabase_admin@", "postgres@"),
      real,
      [Symbol.asyncDispose]: () => server.dispose(),
    };
  } catch (error) {
    await server.dispose();
    throw error;
  } finally {
    await sql.end();
  }
}

/** Whether the server can load pg_cron, which it has to be told before it starts. */
async function hasLibraryOfCron(binaries: string): Promise<boolean> {
  // Debian's and npm's place for libraries.
  for (const folder of ["lib", "lib/postgresql"]) {
    try {
      await Deno.stat(`${binaries}/../${folder}/pg_cron.so`);
      return true;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return false;
}

/** @returns whether it is the real one */
async function addExtension(sql: postgres.Sql, name: string): Promise<boolean> {
  const [available] = await sql`select from pg_available_extensions where name = ${name}`;
  if (available !== undefined) await sql.unsafe(`create extension ${name}`);
  else await sql.unsafe(await read(name) + pretendInstalled(name));
  if (name === "pg_cron") await sql.unsafe(CRON_GRANTS);
  return available !== undefined;
}

/** What `postgres` may do with pg_cron: ansible/files/postgresql_extension_custom_scripts. */
const CRON_GRANTS = `
  grant usage on schema cron to postgres with grant option;
  grant execute on all functions in schema cron to postgres with grant option;
  grant select on cron.job to postgres with grant option;
  grant all on cron.job_run_details to postgres with grant option;
`;

/** Makes Postgres list a schema as an extension, so that migrations run unchanged. */
function pretendInstalled(name: string): string {
  return `
    set allow_system_table_mods = on;
    insert into pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
    select 90000 + count(*), '${name}', 10, 'pg_catalog'::regnamespace, false, '0' from pg_extension;
    create or replace view pg_catalog.pg_available_extensions as
      select e.name, e.default_version, x.extversion as installed_version, e.comment
      from pg_available_extensions() e left join pg_extension x on e.name = x.extname
      union all
      select extname, '0', '0' collate "C", 'a schema in its place'
      from pg_extension where extversion = '0';
    reset allow_system_table_mods;
  `;
}

function read(name: string): Promise<string> {
  return Deno.readTextFile(new URL(`${name}.sql`, import.meta.url));
}
