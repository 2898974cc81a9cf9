/** The local Supabase on a database that stays, and what it reports when it cannot start. */
import assert from "node:assert/strict";
import { PGlite } from "@electric-sql/pglite";
import postgres from "postgres";
import { servePostgres } from "../../dev/stack/postgres/socket.ts";
import { keepExitCode } from "../../dev/stack/supabase/exit-code.ts";
import { cacheFile, freshDataDir } from "../../dev/stack/supabase/fresh-data-dir.ts";
import { defaultCacheDir } from "../../dev/stack/supabase/kept-files.ts";
import { startSupabase } from "../../dev/stack/supabase/mod.ts";
import { migrationsDirectory, NOTES_MIGRATION } from "../support/local-supabase.ts";

/** An empty database that is reached by connection string. */
interface TestDatabase extends AsyncDisposable {
  url: string;
}

/**
 * A new database on the server that `TEST_DATABASE_URL` names; without one, PGlite behind
 * Postgres' wire protocol.
 */
async function testDatabase(): Promise<TestDatabase> {
  const server = Deno.env.get("TEST_DATABASE_URL");
  if (server === undefined) {
    const pglite = await keepExitCode(async () =>
      PGlite.create({ fs: (await freshDataDir(defaultCacheDir())).fs })
    );
    const socket = await servePostgres(pglite);
    return {
      url: socket.url,
      [Symbol.asyncDispose]: () =>
        keepExitCode(async () => {
          await socket[Symbol.asyncDispose]();
          await pglite.close();
        }),
    };
  }
  const name = `test_${crypto.randomUUID().replaceAll("-", "")}`;
  const admin = postgres(server, { max: 1, onnotice: () => {} });
  await admin.unsafe(`create database ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    async [Symbol.asyncDispose]() {
      await admin.unsafe(`drop database ${name} with (force)`);
      await admin.end();
    },
  };
}

Deno.test("local Supabase on a database that stays: the next start goes on from it", async () => {
  await using migrations = await migrationsDirectory();
  await using database = await testDatabase();
  const start = (steps: string[] = []) =>
    startSupabase({
      databaseUrl: database.url,
      migrationsDir: migrations.url,
      onProgress: (step) => steps.push(step),
    });

  const firstSteps: string[] = [];
  const first = await start(firstSteps);
  const ada = await first.createUser();
  assert.equal((await ada.client.from("notes").insert({ owner: ada.id, body: "a" })).error, null);
  assert.equal((await ada.client.from("notes").update({ body: "b" }).gt("body", "")).status, 403);
  assert.deepEqual(
    await first.sql(
      "select version, name, statements[1] as first from supabase_migrations.schema_migrations",
    ),
    [{
      version: "20260101000000",
      name: "notes",
      first: NOTES_MIGRATION.slice(0, NOTES_MIGRATION.indexOf(";")).trim(),
    }],
  );
  await first.close();

  await migrations.write("20260102000000_titles.sql", "alter table notes add title text;");
  const secondSteps: string[] = [];
  const second = await start(secondSteps);
  assert.deepEqual(firstSteps, ["migration 20260101000000_notes.sql"]);
  assert.deepEqual(secondSteps, ["migration 20260102000000_titles.sql"]);
  const read = await second.serviceClient().from("notes").select("owner, body, title");
  assert.deepEqual(read.data, [{ owner: ada.id, body: "a", title: null }]);
  // The REVOKE of a migration that an earlier start applied must outlive this start.
  const bob = await second.createUser();
  await second.sql("insert into notes (owner, body) values ($1, 'b')", [bob.id]);
  const update = await bob.client.from("notes").update({ body: "c" }).eq("owner", bob.id);
  assert.deepEqual([update.status, update.error?.code], [403, "42501"]);
  assert.equal((await second.anonClient().from("notes").select()).error?.code, "42501");
  assert.equal((await bob.client.rpc("add_note", { body: "x" })).error?.code, "42501");
  const refused = await second.serviceClient().rpc("add_note", { body: "refuse" });
  assert.deepEqual([refused.status, refused.error?.code], [400, "P0001"]);
  await second.close();

  await using others = await migrationsDirectory({ "1_other.sql": "select 1" });
  await assert.rejects(
    startSupabase({ databaseUrl: database.url, migrationsDir: others.url }),
    /has migrations that no file .* has: 20260101000000, 20260102000000/,
  );
});

Deno.test("local Supabase: a failing migration is named, with Postgres' message", async () => {
  await using migrations = await migrationsDirectory({
    "20260101000000_good.sql": "create table good (id int);",
    "20260102000000_bad.sql": "create table half (id int);\nselect no_such_column from good;",
  });
  await assert.rejects(
    startSupabase({ migrationsDir: migrations.url }),
    /^Error: Migration 20260102000000_bad\.sql failed: column "no_such_column" does not exist \(line 2\)/,
  );
  await using database = await testDatabase();
  const options = { databaseUrl: database.url, migrationsDir: migrations.url };
  await assert.rejects(startSupabase(options), /Migration 20260102000000_bad\.sql failed/);
  await migrations.write("20260102000000_bad.sql", "create table half (id int);");
  const repaired = await startSupabase(options);
  assert.deepEqual(await repaired.sql("select to_regclass('public.half')::text as half"), [
    { half: "half" },
  ]);
  await repaired.close();
});

Deno.test("local Supabase: migrations that cannot be meant are refused by name", async () => {
  const start = async (files: Record<string, string>) => {
    await using migrations = await migrationsDirectory(files);
    await (await startSupabase({ migrationsDir: migrations.url })).close();
  };
  await assert.rejects(start({ "notes.sql": "" }), /notes\.sql in .* is not named/);
  await assert.rejects(
    start({ "1_a.sql": "", "1_b.sql": "" }),
    /1_a\.sql and 1_b\.sql have the same/,
  );
  await assert.rejects(
    startSupabase({ migrationsDir: "/no/such/dir" }),
    /no directory .*\/no\/such/,
  );
  await start({ "README.md": "not a migration", "1_empty.sql": "-- nothing\n" });
});

Deno.test("local Supabase: a database that is not there is one clear sentence", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await assert.rejects(
    startSupabase({ databaseUrl: `postgres://me:secret@127.0.0.1:${port}/mine` }),
    (error: Error) => {
      assert.equal(
        error.message,
        `Cannot connect to Postgres at 127.0.0.1:${port}/mine: connection refused. Is it running?`,
      );
      return true;
    },
  );
  await assert.rejects(startSupabase({ databaseUrl: "mysql://x" }), /must look like postgres:\/\//);
});

Deno.test("local Supabase: a taken port is said, and the process's exit code stays 0", async () => {
  await using migrations = await migrationsDirectory({ "1_a.sql": "create table a (id int);" });
  const supabase = await startSupabase({ migrationsDir: migrations.url });
  const port = Number(new URL(supabase.url).port);
  await assert.rejects(
    startSupabase({ migrationsDir: migrations.url, port }),
    new RegExp(`Cannot listen on 127\\.0\\.0\\.1:${port}`),
  );
  await assert.rejects(supabase.sql("select no_such_column"), /does not exist/);
  await supabase.close();
  await supabase.close();
  assert.equal(Deno.exitCode, 0);
});

Deno.test("local Supabase: a damaged cache of PGlite's data directory is replaced", async () => {
  await using migrations = await migrationsDirectory({});
  const cacheDir = await Deno.makeTempDir();
  const code = `
    import { startSupabase } from ${
    JSON.stringify(import.meta.resolve("../../dev/stack/supabase/mod.ts"))
  };
    const steps = [];
    const supabase = await startSupabase({
      cacheDir: ${JSON.stringify(cacheDir)},
      migrationsDir: new URL(${JSON.stringify(migrations.url.href)}),
      onProgress: (step) => steps.push(step),
    });
    await supabase.close();
    console.log(JSON.stringify(steps));
  `;
  // Another process each time, for the data directory is kept in memory as well.
  const run = async () => {
    const { stdout, code: exitCode } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", code],
      stderr: "inherit",
    }).output();
    assert.equal(exitCode, 0);
    return JSON.parse(new TextDecoder().decode(stdout)).join();
  };
  try {
    await keepExitCode(() => freshDataDir(defaultCacheDir()));
    const whole = await Deno.readFile(cacheFile(defaultCacheDir() ?? ""));
    await Deno.writeFile(cacheFile(cacheDir), whole.subarray(0, 1_000_000));
    assert.match(await run(), /does not load.*initialising PGlite/);
    assert.equal(await run(), "");
  } finally {
    await Deno.remove(cacheDir, { recursive: true });
  }
});
