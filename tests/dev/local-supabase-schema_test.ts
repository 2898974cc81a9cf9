/** The local Supabase reads the schema once for many requests. */
import assert from "node:assert/strict";
import { openFreshPglite } from "../../dev/stack/supabase/database.ts";
import { defaultCacheDir } from "../../dev/stack/supabase/kept-files.ts";
import { shareSchemaLook } from "../../dev/stack/supabase/schema-cache.ts";

Deno.test("local Supabase reads the schema once, however many requests wait for it", async () => {
  const database = await openFreshPglite(defaultCacheDir(), () => {});
  try {
    const { connection } = database;
    shareSchemaLook(connection);
    const look = () => connection.introspect({ useCache: true });
    assert.equal(new Set(await Promise.all(Array.from({ length: 8 }, look))).size, 1);

    // A request after a change does not get the schema that was read before it.
    await connection.clearSchemaCache();
    const stale = look();
    await connection.clearSchemaCache();
    await database.script("create table public.notes (body text)");
    const { tables } = await look();
    assert.ok(tables.some(({ schema, name }) => schema === "public" && name === "notes"));
    await stale;
  } finally {
    await database.close();
  }
});
