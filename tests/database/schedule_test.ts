/**
 * The migration that schedules reconcile: without pg_cron it says so, and with the
 * extensions it schedules the jobs. Neither pg_cron nor pg_net runs here, so stubs with their
 * functions stand in for them and record what they were called with.
 */
import assert from "node:assert/strict";
import { PGlite } from "@electric-sql/pglite";
import { keepExitCode } from "../../dev/stack/supabase/exit-code.ts";
import { freshDataDir } from "../../dev/stack/supabase/fresh-data-dir.ts";
import { defaultCacheDir } from "../../dev/stack/supabase/kept-files.ts";

const MIGRATIONS = [
  "20261101000600_schedule.sql",
  "20261129000400_schedule_checks_the_response.sql",
].map((name) => new URL(`../../supabase/migrations/${name}`, import.meta.url));
const URL_OF_FUNCTION = "https://abcdefgh.supabase.co/functions/v1/provision-machine";
const SECRET_KEY = "sb_secret_a-key-for-this-test";

/** What the migration uses of earlier ones. */
const BEFORE = `
  create role anon nologin;
  create role authenticated nologin;
  create role service_role nologin bypassrls;
  create schema extensions;
  create table public.machine_events (id bigint, created_at timestamptz);
  create table public.installation (only_row boolean);
  insert into public.installation values (true);
`;

/** The parts of the extensions that the migration uses. */
const STUBS = `
  create schema cron;
  create table cron.job (jobname text primary key, schedule text, command text);
  create function cron.schedule(job_name text, schedule text, command text) returns bigint
  language sql as $$
    insert into cron.job values (job_name, schedule, command)
    on conflict (jobname) do update set schedule = excluded.schedule, command = excluded.command
    returning 1::bigint
  $$;
  create schema net;
  create table net.requests (
    id bigint generated always as identity, url text, body jsonb, headers jsonb, timeout_ms integer
  );
  create function net.http_post(
    url text, body jsonb default '{}', params jsonb default '{}',
    headers jsonb default '{"Content-Type": "application/json"}', timeout_milliseconds integer default 5000
  ) returns bigint language sql as $$
    insert into net.requests (url, body, headers, timeout_ms)
    values (url, body, headers, timeout_milliseconds) returning id
  $$;
  -- https://supabase.github.io/pg_net/api/
  create table net._http_response (
    id bigint, status_code integer, content_type text, headers jsonb, content text,
    timed_out boolean, error_msg text, created timestamptz default now()
  );
  create schema vault;
  create table vault.secrets (name text primary key, secret text);
  create view vault.decrypted_secrets as select name, secret as decrypted_secret from vault.secrets;
`;

/** Makes Postgres treat the stubs as the extensions, so that the migration runs unchanged. */
const PRETEND = `
  set allow_system_table_mods = on;
  create or replace view pg_catalog.pg_available_extensions as
    select name, '1.0'::text as default_version, '1.0' collate "C" as installed_version,
      ''::text as comment
    from unnest(array['pg_cron', 'pg_net', 'supabase_vault']::name[]) as stubs (name);
  insert into pg_catalog.pg_extension
    (oid, extname, extowner, extnamespace, extrelocatable, extversion)
  select 90000 + n, name, 10, 'public'::regnamespace, false, '1.0'
  from unnest(array['pg_cron', 'pg_net', 'supabase_vault']::name[]) with ordinality as stubs (name, n);
  reset allow_system_table_mods;
`;

/** Applies the migration; resolves with the notices that `supabase db push` prints. */
async function migrate(database: PGlite): Promise<string[]> {
  const notices: string[] = [];
  const sql = (await Promise.all(MIGRATIONS.map((url) => Deno.readTextFile(url)))).join("\n");
  await keepExitCode(() =>
    database.exec(sql, { onNotice: ({ message }) => notices.push(message ?? "") })
  );
  return notices;
}

/** The same in a transaction that is rolled back. */
async function rehearse(database: PGlite): Promise<string[]> {
  await database.exec("begin");
  try {
    return await migrate(database);
  } finally {
    await database.exec("rollback");
  }
}

Deno.test("the schedule of reconcile", async (t) => {
  const { fs } = await freshDataDir(defaultCacheDir());
  await using database = await PGlite.create({ fs });
  const rows = async (sql: string) => (await database.query(sql)).rows;
  await database.exec(BEFORE);

  await t.step("without the extensions the migration says that there is no schedule", async () => {
    assert.deepEqual(await rehearse(database), [
      "reconcile is not scheduled: this database has no pg_cron, pg_net, supabase_vault. " +
      "Call POST /provision-machine/reconcile every minute by other means.",
    ]);
  });

  await database.exec(STUBS);
  await database.exec(PRETEND);

  await t.step("when both secrets exist already it prints no notice", async () => {
    await database.exec("insert into vault.secrets values ('provision_machine_url', 'u')");
    await database.exec("insert into vault.secrets values ('provision_machine_secret_key', 'k')");
    const remarks = (await rehearse(database)).filter((notice) => !/already exists/.test(notice));
    assert.deepEqual(remarks, []);
    await database.exec("delete from vault.secrets");
  });

  await t.step("the jobs", async () => {
    const notices = await migrate(database);
    assert.equal(
      notices.at(-1),
      "reconcile is scheduled but will fail until Vault holds provision_machine_url and " +
        "provision_machine_secret_key",
    );
    assert.deepEqual(await rows("select * from cron.job order by jobname"), [
      {
        jobname: "provision-machine-prune",
        schedule: "17 * * * *",
        command: "select public.prune_history()",
      },
      {
        jobname: "provision-machine-reconcile",
        schedule: "* * * * *",
        command: "call public.run_reconcile()",
      },
    ]);
  });

  await t.step("without the secrets each run fails, so that pg_cron records it", async () => {
    const runJob = () => keepExitCode(() => database.exec("call public.run_reconcile()"));
    await assert.rejects(runJob(), /put provision_machine_url and provision_machine_secret_key/);
    await database.query("insert into vault.secrets values ('provision_machine_url', $1)", [
      URL_OF_FUNCTION,
    ]);
    await assert.rejects(runJob(), /reconcile is not scheduled/);
    assert.deepEqual(await rows("select * from net.requests"), []);
  });

  await t.step("a run posts to the function with the secret key", async () => {
    await database.query("insert into vault.secrets values ('provision_machine_secret_key', $1)", [
      SECRET_KEY,
    ]);
    const [job] = await rows("select command from cron.job where jobname like '%reconcile'");
    await database.exec((job as { command: string }).command);
    assert.deepEqual(await rows("select url, body, headers, timeout_ms from net.requests"), [{
      url: `${URL_OF_FUNCTION}/reconcile`,
      body: {},
      headers: { apikey: SECRET_KEY, "content-type": "application/json" },
      timeout_ms: 55_000,
    }]);
  });

  await t.step(
    "a run fails when the one before was not answered with 200, and still posts",
    async () => {
      const posted = async () => (await rows("select id from net.requests")).length;
      const answer = async (values: string) => {
        const [call] = await rows("select reconcile_request_id as id from public.installation");
        await database.exec(
          `insert into net._http_response (id, status_code, content, error_msg)
         values (${(call as { id: number }).id}, ${values})`,
        );
      };
      const run = () => keepExitCode(() => database.exec("call public.run_reconcile()"));
      const before = await posted();
      await assert.rejects(run(), /failed: HTTP none, no response/);
      await answer("200, '{}', null");
      await run();
      await answer('401, \'{"code": "unauthorized"}\', null');
      await assert.rejects(run(), /failed: HTTP 401, \{"code": "unauthorized"\}/);
      await answer("null, null, 'Couldn''t connect to server'");
      await assert.rejects(run(), /failed: HTTP none, Couldn't connect to server/);
      assert.equal(await posted(), before + 4);
    },
  );

  await t.step("no other role can make it run, or read the key through it", async () => {
    const { rows: granted } = await database.query<{ rolname: string }>(
      `select rolname from pg_roles
       where rolname in ('anon', 'authenticated', 'service_role')
         and (has_function_privilege(oid, 'public.request_reconcile()', 'execute')
           or has_function_privilege(oid, 'public.run_reconcile()', 'execute'))`,
    );
    assert.deepEqual(granted, []);
  });
});
