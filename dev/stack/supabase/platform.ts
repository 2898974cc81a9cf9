/**
 * What hosted Supabase has in a new database before the first migration runs: the API roles,
 * their privileges, the `extensions` schema, the Realtime publication.
 */
import type { StackDatabase } from "./database.ts";

const API_ROLES = "anon, authenticated, service_role";

/**
 * @param exposeNewTables `true`: the API roles get all privileges on everything made in `public`,
 *   as hosted projects have it by default; `false`: as in projects that switched this off, where
 *   a migration must grant what it means to grant
 */
export async function preparePlatform(
  database: StackDatabase,
  exposeNewTables: boolean,
): Promise<void> {
  await database.transaction((transaction) => transaction.script(platformSql(exposeNewTables)));
}

/** What {@link preparePlatform} runs. */
export function platformSql(exposeNewTables: boolean): string {
  return PLATFORM_SQL + defaultPrivileges(exposeNewTables);
}

/**
 * Reports to lite's connection that roles and privileges are in place, without letting it grant any.
 *
 * Before its first request as an API role, lite grants ALL on every table of each schema that
 * uses row level security to the API roles, once per connection (`ensureRlsContext`). That would
 * undo each REVOKE of our migrations. So it is made to do so here, in a transaction that is
 * rolled back: the connection remembers that it is done, the database forgets it. (It does so
 * only if some table has row level security; those of `auth` have it, here as when hosted.)
 */
export async function keepLiteFromGranting(database: StackDatabase): Promise<void> {
  await database.exclusive(async () => {
    const { connection } = database;
    const pool = connection.kysely;
    const undo = new Error("undo");
    try {
      await pool.transaction().execute(async (transaction) => {
        connection.kysely = transaction;
        await connection.withContext({ auth: { role: "anon" } }, () => Promise.resolve(), {
          transaction,
        });
        throw undo;
      });
    } catch (error) {
      if (error !== undo) throw error;
    } finally {
      connection.kysely = pool;
    }
  });
}

const PLATFORM_SQL = `
do $$
declare wanted record;
begin
  for wanted in
    select * from (values
      ('authenticator', 'nologin noinherit'),
      ('anon', 'nologin noinherit'),
      ('authenticated', 'nologin noinherit'),
      ('service_role', 'nologin noinherit bypassrls')
    ) as roles (name, options)
  loop
    -- Roles belong to the server, and a start on another of its databases may make them just now.
    begin
      if not exists (select from pg_roles where rolname = wanted.name) then
        execute format('create role %I %s', wanted.name, wanted.options);
      end if;
      if wanted.name <> 'authenticator'
        and not pg_has_role('authenticator', wanted.name, 'member') then
        execute format('grant %I to authenticator', wanted.name);
      end if;
    exception when duplicate_object or unique_violation or internal_error then null;
    end;
  end loop;
  for wanted in select relname as name from pg_class
    where relnamespace = 'auth'::regnamespace and relkind = 'r' and not relrowsecurity
  loop
    execute format('alter table auth.%I enable row level security', wanted.name);
  end loop;
  if not exists (select from pg_publication where pubname = 'supabase_realtime') then
    create publication supabase_realtime;
  end if;
end $$;
create schema if not exists extensions;
grant usage on schema public, extensions, auth to ${API_ROLES};
grant execute on all functions in schema auth to ${API_ROLES};
`;

function defaultPrivileges(exposed: boolean): string {
  const change = exposed ? `grant all on %s to ${API_ROLES}` : `revoke all on %s from ${API_ROLES}`;
  return ["tables", "sequences", "functions"]
    .map((kind) => `alter default privileges in schema public ${change.replace("%s", kind)};`)
    .join("\n");
}
