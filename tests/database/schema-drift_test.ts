/** The committed supabase/schema.sql matches the migrations and leaves nothing out. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { driftOf } from "../../dev/tasks/generated-file.ts";
import { generateSchema, SCHEMA } from "../../dev/tasks/schema.ts";
import { startSupabase } from "../../dev/stack/supabase/mod.ts";
import { copyProject, PROJECT_ROOT } from "./project-copy.ts";

Deno.test("the committed schema is that of the migrations", async () => {
  const drift = await driftOf(SCHEMA, PROJECT_ROOT);
  assert.ok(drift === null, `run \`deno task schema\`\n${drift}`);
});

Deno.test("an added column, comment and policy are printed with their table", async () => {
  await using project = await copyProject(SCHEMA.path);
  await project.addMigration(`
    alter table public.reconcile_runs add column added_later text;
    create policy "Added later" on public.reconcile_runs for select to anon using (true);
    comment on column public.reconcile_runs.added_later is 'Why';
    create function public.added_later(a integer) returns integer language sql as $$ select a $$;
  `);
  const schema = await generateSchema(project.root);
  const section = /\n-- reconcile_runs -+\n([^]*?)\n-- \w+ -+\n/.exec(schema)?.[1] ?? "";
  assert.match(section, /^ {4}added_later text,$/m);
  assert.match(section, /^COMMENT ON COLUMN public.reconcile_runs.added_later IS 'Why';$/m);
  assert.match(
    section,
    /^CREATE POLICY "Added later" ON public.reconcile_runs FOR SELECT TO anon /m,
  );
  // A hosted project grants this by default; this migration forgot to revoke it.
  assert.match(schema, /\nGRANT ALL ON FUNCTION public.added_later TO anon;\n/);
});

Deno.test("an unknown kind of object is refused", async () => {
  await using project = await copyProject(SCHEMA.path);
  await project.addMigration("create type public.added_later as enum ('a');");
  await assert.rejects(generateSchema(project.root), /no place for a TYPE of added_later/);
});

Deno.test("a migration that fails is named", async () => {
  await using project = await copyProject(SCHEMA.path);
  const name = await project.addMigration("alter table public.no_such_table add column a text;");
  await assert.rejects(generateSchema(project.root), (error) => {
    assert.ok(error instanceof Error);
    assert.ok(error.message.startsWith(`${name}: `) && error.message.includes("no_such_table"));
    return true;
  });
});

Deno.test("anyone without a session has no privilege", async () => {
  const schema = await Deno.readTextFile(join(PROJECT_ROOT, SCHEMA.path));
  assert.deepEqual(schema.match(/^GRANT .* TO (?:anon|PUBLIC);$/gim) ?? [], []);
  const functions = schema.match(/^CREATE FUNCTION public\.\w+/gm) ?? [];
  const revoked = schema.match(/^REVOKE ALL ON FUNCTION public\.\w+ FROM PUBLIC;$/gm) ?? [];
  assert.equal(revoked.length, functions.length, "a new function may be executed by everyone");
});

Deno.test("every table, function, index, constraint, trigger and policy is in it", async () => {
  const schema = await Deno.readTextFile(join(PROJECT_ROOT, SCHEMA.path));
  const supabase = await startSupabase();
  try {
    const rows = await supabase.sql<{ name: string }>(`
      select relname as name from pg_class
        where relnamespace = 'public'::regnamespace and relkind in ('r', 'i')
      union select proname from pg_proc where pronamespace = 'public'::regnamespace
      union select conname from pg_constraint
        where connamespace = 'public'::regnamespace and contype in ('c', 'p', 'u', 'f')
      union select tgname from pg_trigger where not tgisinternal
        and tgrelid in (select oid from pg_class where relnamespace = 'public'::regnamespace)
      union select policyname from pg_policies where schemaname = 'public'
    `);
    assert.ok(rows.length > 80, `only ${rows.length} names`);
    const missing = rows.map(({ name }) => name).filter((name) => !schema.includes(name));
    assert.deepEqual(missing, []);
  } finally {
    await supabase.close();
  }
});
