/**
 * The migrations on a database like a hosted project's, through the real Supabase CLI: who may do what
 * afterwards, and what the CLI's lint and advisors have to say.
 */
import assert from "node:assert/strict";
import postgres from "postgres";
import { z } from "zod";
import { HAS_NPM_POSTGRES, postgresFromNpm } from "../../dev/stack/postgres/from-npm.ts";
import { type HostedPostgres, startHostedPostgres } from "../../dev/stack/postgres/hosted/mod.ts";
import { runSupabaseCli } from "../../dev/tasks/supabase-cli.ts";
import { readDocument } from "../documents/markdown.ts";
import { PROJECT_ROOT } from "../support/deployment.ts";
import { ACCEPTED_ADVICE } from "./accepted-advice.ts";
import { postgresTest } from "./postgres-test.ts";

const USER = "00000000-0000-4000-8000-00000000000a";

const Advice = z.object({
  results: z.array(z.object({ name: z.string(), level: z.string(), detail: z.string() })),
});
const Lint = z.object({
  results: z.array(z.object({ function: z.string(), issues: z.array(z.looseObject({})) })),
});

/** What `[db.vault]` in supabase/config.toml reads. */
const VAULT = {
  PROVISION_MACHINE_URL: "https://x.supabase.co/functions/v1/p",
  PROVISION_MACHINE_SECRET_KEY: "sb_secret_of_a_test",
};

function supabase(hosted: HostedPostgres, ...command: string[]) {
  return supabaseWith({}, hosted, ...command);
}

function supabaseWith(env: Record<string, string>, hosted: HostedPostgres, ...command: string[]) {
  const target = `${hosted.url.replace("postgres://", "postgresql://")}?sslmode=disable`;
  return runSupabaseCli([...command, `--remote=${target}`], { workdir: PROJECT_ROOT, env });
}

Deno.test({
  name: "a database like a hosted one, with Postgres 17",
  ignore: !HAS_NPM_POSTGRES,
  fn: testHostedMajor,
});

async function testHostedMajor(t: Deno.TestContext): Promise<void> {
  await using hosted = await startHostedPostgres({ binaries: await postgresFromNpm() });
  const sql = postgres(hosted.url, { max: 1, onnotice: () => {} });
  try {
    await t.step("`supabase db push` as a postgres that is no superuser", async () => {
      await supabase(hosted, "db", "push", "--yes");
      const [row] = await sql`
        select current_setting('server_version_num')::integer / 10000 as major,
          (select rolsuper from pg_roles where rolname = current_user) as super,
          (select array_agg(jobname::text order by jobname) from cron.job) as jobs`;
      assert.deepEqual(row, {
        major: 17,
        super: false,
        jobs: ["provision-machine-prune", "provision-machine-reconcile"],
      });
    });

    await t.step("a second push changes nothing", async () => {
      const { stdout, stderr } = await supabase(hosted, "db", "push", "--yes");
      assert.match(stdout + stderr, /up to date/);
    });

    await t.step("the API's roles may do what they did before", () => assertPrivileges(hosted));
    await t.step("a deleted account leaves a row without a user", () => assertDeletion(hosted));
    await t.step("the job of reconcile calls through Vault and pg_net", () => assertJob(sql));

    await t.step("the operator's statements in docs/OPERATIONS.md run", async () => {
      const text = await readDocument("docs/OPERATIONS.md");
      const section = /\n### Find and move machines\n([^]*?)\n###/.exec(text)?.[1] ?? "";
      const [, statements = ""] = /```sql\n([^]*?)```/.exec(section) ?? [];
      assert.equal(statements.match(/;/g)?.length, 2);
      const rows = z.array(z.looseObject({ machine_id: z.string() }));
      const [machines] = z.tuple([rows, rows]).parse(await sql.unsafe(statements));
      assert.deepEqual(machines.map(({ machine_id: id }) => id), ["m-1"]);
    });

    await t.step("the advisors say nothing that is not accepted", async () => {
      const { stdout } = await supabase(
        ...[hosted, "db", "advisors", "--level=info", "--output-format=json"] as const,
      );
      const { results } = Advice.parse(JSON.parse(stdout));
      const accepts = (advice: typeof ACCEPTED_ADVICE[number], found: typeof results[number]) =>
        advice.name === found.name && advice.level === found.level &&
        found.detail.includes(advice.about ?? "");
      assert.deepEqual(
        results.filter((found) => !ACCEPTED_ADVICE.some((advice) => accepts(advice, found))),
        [],
        "fix it, or accept it in accepted-advice.ts with the reason",
      );
      assert.deepEqual(
        ACCEPTED_ADVICE.filter((advice) => !results.some((found) => accepts(advice, found))),
        [],
        "accepted-advice.ts names what is no longer said",
      );
    });
  } finally {
    await sql.end();
  }
}

postgresTest(
  "a database like a hosted one, with the installed Postgres and its extensions",
  async (t) => {
    await using hosted = await startHostedPostgres();
    const hasExtensions = hosted.real.has("pg_cron") && await hasPlpgsqlCheck(hosted);
    if (!hasExtensions && Deno.env.get("CI") !== "true") {
      // deno-lint-ignore no-console -- the developer has to know what was not tested
      console.warn(
        "ignored: Debian's postgresql-<major>-cron and -plpgsql-check are not installed",
      );
      return;
    }
    await supabaseWith(VAULT, hosted, "db", "push", "--yes");

    await t.step(
      "Vault has what the schedule needs, from the environment of the push",
      async () => {
        const sql = postgres(hosted.url, { max: 1 });
        try {
          const entries = await sql`
          select name, decrypted_secret as value from vault.decrypted_secrets order by name desc`;
          assert.deepEqual([...entries], [
            { name: "provision_machine_url", value: VAULT.PROVISION_MACHINE_URL },
            { name: "provision_machine_secret_key", value: VAULT.PROVISION_MACHINE_SECRET_KEY },
          ]);
        } finally {
          await sql.end();
        }
      },
    );

    await t.step("pg_cron knows both jobs as active ones of postgres", async () => {
      const sql = postgres(hosted.url, { max: 1 });
      try {
        const jobs = await sql`select jobname, schedule, active, username from cron.job order by 1`;
        assert.deepEqual(
          [...jobs],
          [
            ["provision-machine-prune", "17 * * * *"],
            ["provision-machine-reconcile", "* * * * *"],
          ].map(([jobname, schedule]) => ({
            jobname,
            schedule,
            active: true,
            username: "postgres",
          })),
        );
      } finally {
        await sql.end();
      }
    });

    await t.step("`supabase db lint` finds nothing in the functions", async () => {
      const { stdout } = await supabase(
        ...[hosted, "db", "lint", "--level=warning", "--output-format=json"] as const,
      );
      assert.deepEqual(Lint.parse(JSON.parse(stdout)).results, []);
    });
  },
);

async function hasPlpgsqlCheck({ url }: HostedPostgres): Promise<boolean> {
  const sql = postgres(url, { max: 1 });
  try {
    const [found] = await sql`select from pg_extension where extname = 'plpgsql_check'`;
    return found !== undefined;
  } finally {
    await sql.end();
  }
}

/** As PostgREST does it: the authenticator takes the role of the token. */
async function assertPrivileges({ url }: HostedPostgres): Promise<void> {
  const sql = postgres(url.replace("postgres@", "authenticator@"), { max: 1 });
  try {
    const as = (role: string, query: string) =>
      sql.begin(async (transaction) => {
        await transaction.unsafe(`set local role ${role}`);
        return await transaction.unsafe(query);
      });
    const [health] = await as("service_role", "select read_health() ->> 'schema_version' as v");
    assert.match(String(health?.v), /^\d{14}$/);
    const refused = async (role: string, query: string, what: string) => {
      const expected = new RegExp(`permission denied for ${what}`);
      await assert.rejects(as(role, query), expected, `${role}: ${query}`);
    };
    for (const role of ["anon", "authenticated"]) {
      await refused(role, "select read_health()", "function read_health");
      await refused(role, "select request_reconcile()", "function request_reconcile");
      await refused(role, "call run_reconcile()", "procedure run_reconcile");
      await refused(role, "select * from installation", "table installation");
      await refused(role, "select * from vault.decrypted_secrets", "schema vault");
    }
    await refused("service_role", "call run_reconcile()", "procedure run_reconcile");
    assert.deepEqual([...await as("authenticated", "select * from cloud_machines")], []);
  } finally {
    await sql.end();
  }
}

async function assertDeletion({ adminUrl, url }: HostedPostgres): Promise<void> {
  const admin = postgres(adminUrl, { max: 1 });
  const auth = postgres(url.replace("postgres@", "supabase_auth_admin@"), { max: 1 });
  try {
    await auth`insert into auth.users (id) values (${USER})`;
    await admin`
      insert into cloud_machines (user_id, machine_id, region, cpu_priority, request_id, request_hash, deadline_at, reconcile_at)
      values (${USER}, 'm-1', 'iad', 'low', 'r-1', 'h', now(), now())`;
    await auth`delete from auth.users where id = ${USER}`;
    assert.deepEqual([...await admin`select user_id from cloud_machines`], [{ user_id: null }]);
  } finally {
    await auth.end();
    await admin.end();
  }
}

/** Whoever has the project's database password calls it as pg_cron does. */
async function assertJob(sql: postgres.Sql): Promise<void> {
  await assert.rejects(sql`call run_reconcile()`, /provision_machine_url/);
  await sql`select vault.create_secret('https://x.supabase.co/functions/v1/p', 'provision_machine_url')`;
  await sql`select vault.create_secret('sb_secret_of_a_test', 'provision_machine_secret_key')`;
  await sql`call run_reconcile()`;
  const [call] = await sql`
    select id, url, headers ->> 'apikey' as key from net.http_request_queue`;
  assert.equal(call?.url, "https://x.supabase.co/functions/v1/p/reconcile");
  assert.equal(call?.key, "sb_secret_of_a_test");
  await sql`insert into net._http_response (id, status_code, content) values (${call?.id}, 401, 'no')`;
  await assert.rejects(sql`call run_reconcile()`, /HTTP 401, no/);
  const [{ calls } = {}] = await sql`select count(*)::integer as calls from net.http_request_queue`;
  assert.equal(calls, 2, "the call goes out although the one before failed");
}
