/** The code, the database and the migrations name the same newest migration. */
import assert from "node:assert/strict";
import { startSupabase } from "../../dev/stack/supabase/mod.ts";
import { EXPECTED_SCHEMA_VERSION } from "../../supabase/functions/provision-machine/database/observations.ts";

const MIGRATIONS = new URL("../../supabase/migrations/", import.meta.url);

Deno.test("the code expects the newest migration, and the database reports it", async () => {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(MIGRATIONS)) {
    assert.match(name, /^\d{14}_[a-z0-9_]+\.sql$/, `${name} is not named like a migration`);
    names.push(name);
  }
  const newest = names.sort().at(-1) ?? "";
  const version = newest.slice(0, 14);
  assert.equal(
    EXPECTED_SCHEMA_VERSION,
    version,
    `The newest migration is ${newest}: set EXPECTED_SCHEMA_VERSION to "${version}"`,
  );

  const supabase = await startSupabase();
  try {
    const [row] = await supabase.sql<{ reported: string; applied: string }>(
      `select public.read_health() ->> 'schema_version' as reported,
         (select max(version) from supabase_migrations.schema_migrations) as applied`,
    );
    assert.equal(row?.applied, version);
    assert.equal(
      row?.reported,
      version,
      `public.schema_version() returns "${row?.reported}". End ${newest} with:\n\n` +
        "create or replace function public.schema_version() returns text\n" +
        `language sql immutable set search_path = ''\nas $$ select '${version}' $$;\n`,
    );
  } finally {
    await supabase.close();
  }
});
