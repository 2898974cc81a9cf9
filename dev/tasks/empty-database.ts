/** An empty database, as the generators of types and schema see it before the first migration. */
import { PGlite } from "@electric-sql/pglite";
import { freshDataDir } from "../stack/supabase/fresh-data-dir.ts";
import { defaultCacheDir } from "../stack/supabase/kept-files.ts";

// What every hosted project has, as far as migrations refer to it or depend on it.
// https://supabase.com/docs/guides/database/postgres/roles
// https://github.com/supabase/auth/tree/master/migrations (auth.users)
// https://supabase.com/docs/guides/api/securing-your-api (default privileges of the API roles)
const PLATFORM_SQL = `
  create role anon nologin;
  create role authenticated nologin;
  create role service_role nologin bypassrls;
  create schema auth;
  create table auth.users (id uuid primary key, banned_until timestamptz, deleted_at timestamptz);
  create function auth.uid() returns uuid language sql stable
    as $$ select nullif(current_setting('request.jwt.claim.sub', true), '')::uuid $$;
  create publication supabase_realtime;
  alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
  alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;
  alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
`;

/** Opens a new database in this process's memory. The caller closes it. */
export async function openEmptyDatabase(): Promise<PGlite> {
  const { fs } = await freshDataDir(defaultCacheDir());
  const database = await PGlite.create({ fs });
  await database.exec(PLATFORM_SQL);
  return database;
}
