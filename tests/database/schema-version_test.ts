/** The code, the database and the migrations name the same newest migration. */
import assert from "node:assert/strict";
import { startSupabase } from "../../dev/stack/supabase/mod.ts";
import { EXPECTED_SCHEMA_VERSION } from "../../supabase/functions/provision-machine/health/schema-version.ts";

const MIGRATIONS = new URL("../../supabase/migrations/", import.meta.url);

Deno.test("the code expects the newest migration, and the database says that it has it", async () => {
  const versions: string[] = [];
  for await (const { name } of Deno.readDir(MIGRATIONS)) {
    const version = /^(\d{14})_[a-z0-9_]+\.sql$/.exec(name)?.[1];
    assert.ok(version, `${name} is not named like a migration`);
    versions.push(version);
  }
  const newest = versions.sort().at(-1);
  assert.equal(
    EXPECTED_SCHEMA_VERSION,
    newest,
    "write the newest migration's version into health/schema-version.ts, and let it define " +
      "public.read_health anew with the same version",
  );

  const supabase = await startSupabase();
  try {
    const [row] = await supabase.sql<{ said: string; applied: string }>(
      `select public.read_health() ->> 'schema_version' as said,
         (select max(version) from supabase_migrations.schema_migrations) as applied`,
    );
    assert.deepEqual(row, { said: newest, applied: newest });
  } finally {
    await supabase.close();
  }
});
