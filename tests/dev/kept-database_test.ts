/** A database that is kept between starts is the one that its migrations make. */
import assert from "node:assert/strict";
import { keptDatabaseFile } from "../../dev/stack/supabase/kept-database.ts";
import { defaultCacheDir } from "../../dev/stack/supabase/kept-files.ts";
import { generateStackKeys } from "../../dev/stack/supabase/keys.ts";
import type { Migration } from "../../dev/stack/supabase/migrations.ts";
import { platformSql } from "../../dev/stack/supabase/platform.ts";
import { type Prepared, prepareOnPglite } from "../../dev/stack/supabase/prepare.ts";
import { NOTES_MIGRATION } from "../support/local-supabase.ts";

const MIGRATIONS: Migration[] = [
  { file: "1_notes.sql", version: "1", name: "notes", sql: NOTES_MIGRATION },
  {
    file: "2_identity.sql",
    version: "2",
    name: "identity",
    sql: `
      create table identity (
        name text primary key,
        id uuid not null default gen_random_uuid(),
        created_at timestamptz not null default now()
      );
      insert into identity (name) values ('first'), ('second');
      grant select on identity to service_role;
    `,
  },
];

interface CacheDir extends AsyncDisposable {
  path: string;
  /** Starts on what is kept there; tells what was said on the way. */
  start(migrations?: Migration[]): Promise<Prepared & AsyncDisposable & { steps: string[] }>;
}

/** An own directory, with what initdb made: that is not what is tested here. */
async function newCacheDir(): Promise<CacheDir> {
  const path = await Deno.makeTempDir({ prefix: "cache-" });
  for await (const { name } of Deno.readDir(defaultCacheDir() ?? path)) {
    if (!name.endsWith("-initdb.bin")) continue;
    await Deno.copyFile(`${defaultCacheDir()}/${name}`, `${path}/${name}`);
  }
  return {
    path,
    start: async (migrations = MIGRATIONS) => {
      const steps: string[] = [];
      const plan = {
        keys: await generateStackKeys(),
        signingKeys: [],
        migrations,
        exposeNewTables: true,
        onProgress: (step: string) => void steps.push(step),
      };
      const prepared = await prepareOnPglite(plan, { cacheDir: path, keep: true });
      return { ...prepared, steps, [Symbol.asyncDispose]: () => prepared.database.close() };
    },
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

const kept = (path: string) =>
  [...Deno.readDirSync(path)].map(({ name }) => name).filter((name) => name.includes("-migrated-"));

Deno.test("a kept database", async (t) => {
  await using cache = await newCacheDir();
  await using made = await cache.start();
  await using loaded = await cache.start();
  const both = <T>(look: (prepared: Prepared) => Promise<T>) =>
    Promise.all([made, loaded].map(look));

  await t.step("is loaded by the next start, without its migrations", () => {
    const applied = MIGRATIONS.map(({ file }) => `migration ${file}`);
    assert.deepEqual(made.steps.slice(-2), applied);
    assert.deepEqual(loaded.steps, [
      "the database, kept from an earlier start with the migrations up to 2_identity.sql",
    ]);
  });

  await t.step("has the same schema, privileges and history", async () => {
    for (const sql of [SCHEMA_SQL, HISTORY_SQL]) {
      const [a, b] = await both(({ database }) => database.query(sql));
      assert.ok(a && a.length > 0);
      assert.deepEqual(b, a);
    }
  });

  await t.step("lite knows the schema as it would read it", async () => {
    const { connection } = loaded.database;
    const known = await connection.introspect({ useCache: true });
    const read = await connection.introspect({ useCache: false });
    // In JSON, for what is undefined is not kept. Postgres counts rows when it has time to.
    const comparable = (schema: typeof known) =>
      JSON.parse(JSON.stringify({
        ...schema,
        tables: schema.tables.map((table) => ({ ...table, rows: 0 })),
      }));
    assert.deepEqual(comparable(known), comparable(read));
  });

  await t.step("lite grants nothing on its own there either", async () => {
    const anyone = "has_table_privilege('anon', 'public.notes', 'select') as anon";
    for (const { database } of [made, loaded]) {
      const { connection } = database;
      await database.exclusive(() =>
        connection.withContext({ auth: { role: "anon" } }, () => Promise.resolve())
      );
    }
    assert.deepEqual(await both(({ database }) => database.query(`select ${anyone}`)), [
      [{ anon: false }],
      [{ anon: false }],
    ]);
  });

  await t.step("what a migration drew by chance or by the clock is drawn anew", async () => {
    const sql = "select name, id::text, created_at::text from identity order by name";
    const [a, b] = await both(({ database }) => database.query(sql));
    assert.deepEqual(a?.map(({ name }) => name), ["first", "second"]);
    assert.deepEqual(b?.map(({ name }) => name), ["first", "second"]);
    const drawn = [...a ?? [], ...b ?? []];
    assert.equal(new Set(drawn.map(({ id }) => id)).size, 4);
    assert.equal(new Set(drawn.map(({ created_at }) => created_at)).size, 2);
  });

  await t.step("what one start writes is not in the next", async () => {
    await loaded.database.script("delete from identity; create table left_behind ()");
    await using next = await cache.start();
    const [row] = await next.database.query(
      "select to_regclass('left_behind')::text as table, count(*)::int from identity",
    );
    assert.deepEqual(row, { table: null, count: 2 });
  });

  await t.step("a damaged file is said and replaced", async () => {
    const file = `${cache.path}/${kept(cache.path)[0]}`;
    await Deno.truncate(file, 1_000_000);
    await using repaired = await cache.start();
    assert.match(repaired.steps.join(), /kept database cannot be read.*migration 2_identity\.sql/);
    await using again = await cache.start();
    assert.match(again.steps.join(), /^the database, kept/);
  });
});

Deno.test("a kept database is named by all that it is made of", async () => {
  const file = await keptDatabaseFile("/cache", MIGRATIONS, true);
  const [first, second] = MIGRATIONS;
  assert.ok(first && second);
  const others = [
    await keptDatabaseFile("/cache", MIGRATIONS, false),
    await keptDatabaseFile("/cache", [first], true),
    await keptDatabaseFile("/cache", [first, { ...second, sql: `${second.sql} ` }], true),
    await keptDatabaseFile("/cache", [first, { ...second, file: "3_identity.sql" }], true),
  ];
  assert.equal(new Set([file, ...others]).size, 5);
  assert.notEqual(platformSql(true), platformSql(false));
});

const SCHEMA_SQL = `
  select c.relname, c.relacl::text, c.relrowsecurity, a.attname, a.attnotnull,
    format_type(a.atttypid, a.atttypmod) as type, pg_get_expr(d.adbin, d.adrelid) as value
  from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
  where c.relnamespace in ('public'::regnamespace, 'auth'::regnamespace)
  order by c.oid, a.attnum
`;

const HISTORY_SQL = "select version, name, statements from supabase_migrations.schema_migrations";
