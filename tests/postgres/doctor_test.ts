/**
 * `deno task doctor` on a database like a hosted one: what it says of migrations, of the jobs, of Vault
 * and of pg_net's answers, and what `--fix` repairs.
 */
import assert from "node:assert/strict";
import postgres from "postgres";
import { HAS_NPM_POSTGRES, postgresFromNpm } from "../../dev/stack/postgres/from-npm.ts";
import { startHostedPostgres } from "../../dev/stack/postgres/hosted/mod.ts";
import type { Subject } from "../../dev/tasks/doctor/check.ts";
import { MIGRATIONS } from "../../dev/tasks/doctor/checks/database.ts";
import { SCHEDULE } from "../../dev/tasks/doctor/checks/schedule.ts";
import { mend } from "../../dev/tasks/doctor/doctor.ts";
import { openSubject } from "../../dev/tasks/doctor/subject.ts";
import { runSupabaseCli } from "../../dev/tasks/supabase-cli.ts";
import { PROJECT_ROOT } from "../support/deployment.ts";

const PROJECT_URL = "https://abcdefghijklmnopqrst.supabase.co";
const KEY = "sb_secret_of-the-doctors-test";

/** A mistake as a statement of the superuser, and what the doctor says first. */
interface Mistake {
  name: string;
  plant: string;
  /** For what no repair of the doctor's takes back. */
  takeBack?: string;
  says: RegExp;
  fix: RegExp;
}

const secretOf = (name: string) =>
  `update vault.secrets set secret = encode('of-before', 'base64') where name = '${name}'`;
const RECONCILE = "(select jobid from cron.job where jobname = 'provision-machine-reconcile')";

const MISTAKES: readonly Mistake[] = [
  {
    name: "a pending migration",
    plant: "delete from supabase_migrations.schema_migrations where version = '20261101000100'",
    takeBack:
      "insert into supabase_migrations.schema_migrations (version) values ('20261101000100')",
    says: /^1 migrations are not applied, the first is 20261101000100$/,
    fix: /db push --remote$/,
  },
  {
    name: "a database that is newer than the code",
    plant: "insert into supabase_migrations.schema_migrations (version) values ('29990101000000')",
    takeBack: "delete from supabase_migrations.schema_migrations where version = '29990101000000'",
    says: /^the database has migrations that this code does not: 29990101000000$/,
    fix: /^git pull, then .*functions deploy/,
  },
  {
    name: "no pg_net",
    plant: "update pg_extension set extname = 'away' where extname = 'pg_net'",
    takeBack: "update pg_extension set extname = 'pg_net' where extname = 'away'",
    says: /^the database has no pg_net, so nothing calls reconcile$/,
    fix: /Database, Extensions; then select cron\.schedule/,
  },
  {
    name: "no job",
    plant: "delete from cron.job where jobname = 'provision-machine-reconcile'",
    says: /^pg_cron has no job provision-machine-reconcile$/,
    fix: /^select cron\.schedule\('provision-machine-reconcile'/,
  },
  {
    name: "no job that prunes",
    plant: "delete from cron.job where jobname = 'provision-machine-prune'",
    says: /^pg_cron has no job provision-machine-prune$/,
    fix: /^select cron\.schedule\('provision-machine-prune'/,
  },
  {
    name: "a job that is switched off",
    plant: `update cron.job set active = false where jobid = ${RECONCILE}`,
    says: /^the job provision-machine-reconcile is switched off$/,
    fix: /^select cron\.alter_job\(\d+, active := true\)$/,
  },
  {
    name: "a job of an older release",
    plant: `update cron.job set command = 'select 1' where jobid = ${RECONCILE}`,
    says: /^the job provision-machine-reconcile runs "select 1" at/,
    fix: /^select cron\.schedule/,
  },
  {
    name: "a job that fails",
    plant: `insert into cron.job_run_details (jobid, username, status, return_message)
      values (${RECONCILE}, 'postgres', 'failed', 'ERROR: the reconcile before this one failed')`,
    takeBack: "delete from cron.job_run_details",
    says: /^the last run of provision-machine-reconcile failed: ERROR: the reconcile before/,
    fix: /RUNBOOK/,
  },
  {
    name: "no address in Vault",
    plant: "delete from vault.secrets where name = 'provision_machine_url'",
    says: /^Vault has no provision_machine_url, so the job cannot call reconcile$/,
    fix: /^select vault\.create_secret\('https:\/\/abcdefghijklmnopqrst\.supabase\.co/,
  },
  {
    name: "no key in Vault",
    plant: "delete from vault.secrets where name = 'provision_machine_secret_key'",
    says: /^Vault has no provision_machine_secret_key/,
    fix: /^select vault\.create_secret\('<a secret key>', 'provision_machine_secret_key'\)$/,
  },
  {
    name: "another project's address in Vault",
    plant: secretOf("provision_machine_url"),
    says: /^Vault's provision_machine_url leads to another function/,
    fix: /^select vault\.update_secret\('[0-9a-f-]{36}', 'https:/,
  },
  {
    name: "an old key in Vault",
    plant: secretOf("provision_machine_secret_key"),
    says: /^Vault's provision_machine_secret_key is another key than SUPABASE_SECRET_KEY/,
    fix: /^select vault\.update_secret\('[0-9a-f-]{36}', '<a secret key>'\)$/,
  },
  {
    name: "a call that was refused",
    plant: "insert into net._http_response (id, status_code) values (7, 401)",
    takeBack: "delete from net._http_response",
    says: /^the last call of reconcile was answered with HTTP 401$/,
    fix: /^compare Vault's provision_machine_secret_key/,
  },
  {
    name: "a call that nobody answered",
    plant: `insert into net._http_response (id, timed_out, error_msg)
      values (7, true, 'Timeout of 55000 ms reached')`,
    takeBack: "delete from net._http_response",
    says: /^the last call of reconcile was answered with HTTP none in time: Timeout of 55000/,
    fix: /RUNBOOK/,
  },
  {
    name: "a worker of pg_net that does not run",
    plant: `insert into net.http_request_queue (method, url, timeout_milliseconds)
      select 'POST', 'https://x', 1 from generate_series(1, 50)`,
    takeBack: "delete from net.http_request_queue",
    says: /^50 calls wait in pg_net's queue: its worker does not run$/,
    fix: /^select net\.worker_restart\(\)$/,
  },
  {
    name: "a reconcile that has stopped",
    plant: "update reconcile_runs set created_at = now() - interval '42 minutes'",
    takeBack: "update reconcile_runs set created_at = now()",
    says: /^reconcile last ran 42 minutes ago$/,
    fix: /schedule-reconcile$/,
  },
];

Deno.test({
  name: "doctor: what only a hosted database shows",
  ignore: !HAS_NPM_POSTGRES,
  fn: testDoctor,
});

async function testDoctor(t: Deno.TestContext): Promise<void> {
  await using hosted = await startHostedPostgres({ binaries: await postgresFromNpm() });
  const admin = postgres(hosted.adminUrl, { max: 1, onnotice: () => {} });
  await using subject = await openSubject({
    env: {},
    file: [
      `SUPABASE_URL=${PROJECT_URL}`,
      `SUPABASE_SECRET_KEY=${KEY}`,
      `DATABASE_URL=${hosted.url}`,
    ].join("\n"),
  });
  try {
    await t.step("an empty database", async () => {
      assert.deepEqual((await look(subject)).map(({ says }) => says), [
        "no migration was ever applied to the database",
      ]);
    });

    const target = `${hosted.url.replace("postgres://", "postgresql://")}?sslmode=disable`;
    await runSupabaseCli(["db", "push", "--yes", `--remote=${target}`], { workdir: PROJECT_ROOT });
    await admin.unsafe(`
      select vault.create_secret('${PROJECT_URL}/functions/v1/provision-machine', 'provision_machine_url');
      select vault.create_secret('${KEY}', 'provision_machine_secret_key');
      update installation set reconcile_request_id = 7;
      insert into reconcile_runs (request_id, duration_ms, counts) values ('r', 1, '{}')`);

    await t.step("a sound database", async () => assert.deepEqual(await look(subject), []));

    for (const mistake of MISTAKES) {
      await t.step(mistake.name, () => assertNamed(subject, admin, mistake));
    }

    await t.step("no key is in anything that was said", () => {
      for (const { says, fix } of said) assert.ok(!`${says}${fix}`.includes(KEY), says);
    });
  } finally {
    await admin.end();
  }
}

const said: { says: string; fix: string }[] = [];

async function problemsOf(subject: Subject) {
  const results = [await MIGRATIONS.run(subject), await SCHEDULE.run(subject)];
  return results.flatMap((found) => {
    assert.ok(!("skipped" in found), JSON.stringify(found));
    return found;
  });
}

async function look(subject: Subject) {
  const migrations = await MIGRATIONS.run(subject);
  assert.ok(!("skipped" in migrations));
  if (migrations.some(({ says }) => says.startsWith("no migration"))) return migrations;
  return await problemsOf(subject);
}

/** The mistake is named alone; then the doctor's repair mends it, or the test takes it back. */
async function assertNamed(
  subject: Subject,
  admin: postgres.Sql,
  { plant, takeBack, says, fix }: Mistake,
): Promise<void> {
  assert.ok(subject.sql);
  await admin.unsafe(plant);
  const found = await look(subject);
  said.push(...found);
  assert.equal(found.length, 1, JSON.stringify(found));
  assert.match(found[0]?.says ?? "", says);
  assert.match(found[0]?.fix ?? "", fix);

  const results = [{ check: "", problems: found, skipped: null }];
  await mend(results, subject.sql, () => false, () => {});
  assert.equal((await look(subject)).length, 1, "nothing is repaired without a yes");
  if (takeBack !== undefined) await admin.unsafe(takeBack);
  else await mend(results, subject.sql, () => true, (line) => assert.match(line, /^done: /));
  assert.deepEqual(await look(subject), []);
}
