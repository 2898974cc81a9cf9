/** What calls reconcile: the jobs of pg_cron, the entries of Vault, and what pg_net last heard. */
import type postgres from "postgres";
import { type Check, type Problem, type Project, reasonOf } from "../check.ts";
import { NO_DATABASE } from "./database.ts";

const EXTENSIONS = ["pg_cron", "pg_net", "supabase_vault"];
/** As the migrations schedule them. */
const JOBS = [
  {
    name: "provision-machine-reconcile",
    schedule: "* * * * *",
    command: "call public.run_reconcile()",
  },
  {
    name: "provision-machine-prune",
    schedule: "17 * * * *",
    command: "select public.prune_history()",
  },
];
const LATE_SECONDS = 300;
/** pg_net sends what is queued within a second. https://supabase.github.io/pg_net/ */
const QUEUED = 10;

export const SCHEDULE: Check = {
  name: "schedule of reconcile",
  async run(subject) {
    const { sql } = subject;
    if (sql === null) return NO_DATABASE;
    try {
      const installed = await sql<{ extname: string }[]>`
        select extname from pg_extension where extname in ${sql(EXTENSIONS)}`;
      const names = installed.map(({ extname }) => extname);
      const absent = EXTENSIONS.filter((name) => !names.includes(name));
      if (absent.length > 0) {
        return [{
          says: `the database has no ${absent.join(", ")}, so nothing calls reconcile`,
          fix: "switch them on, on the project's page Database, Extensions; then " +
            JOBS.map(({ name, schedule, command }) => scheduleSql(name, schedule, command)).join(
              "; ",
            ),
        }];
      }
      return [
        ...await jobProblems(sql),
        ...await vaultProblems(sql, subject.project),
        ...await answerProblems(sql),
        ...await ageProblems(sql),
      ];
    } catch (error) {
      return { skipped: `this user of the database may not read it: ${reasonOf(error)}` };
    }
  },
};

function scheduleSql(name: string, schedule: string, command: string): string {
  return `select cron.schedule('${name}', '${schedule}', '${command}')`;
}

async function jobProblems(sql: postgres.Sql): Promise<Problem[]> {
  const found: Problem[] = [];
  for (const { name, schedule, command } of JOBS) {
    const [job] = await sql`
      select jobid::text as id, schedule, command, active from cron.job where jobname = ${name}`;
    const again = scheduleSql(name, schedule, command);
    const repair = { sql: again, parameters: [] };
    if (job === undefined) {
      found.push({ says: `pg_cron has no job ${name}`, fix: again, repair });
      continue;
    }
    if (job["active"] !== true) {
      const on = `select cron.alter_job(${job["id"]}, active := true)`;
      found.push({
        says: `the job ${name} is switched off`,
        fix: on,
        repair: { sql: on, parameters: [] },
      });
    }
    if (job["schedule"] !== schedule || job["command"] !== command) {
      found.push({
        says: `the job ${name} runs "${job["command"]}" at "${
          job["schedule"]
        }", not as the migrations have it`,
        fix: again,
        repair,
      });
    }
    const [run] = await sql`
      select status, return_message as message from cron.job_run_details
      where jobid = ${job["id"]}::bigint and status in ('succeeded', 'failed')
      order by runid desc limit 1`;
    if (run?.["status"] === "failed") {
      found.push({
        says: `the last run of ${name} failed: ${reasonOf(String(run["message"]))}`,
        fix: "docs/RUNBOOK.md#by-symptom, reconcile is late",
      });
    }
  }
  return found;
}

/** Compared in the database, so that no value leaves it. */
async function vaultProblems(sql: postgres.Sql, project: Project | null): Promise<Problem[]> {
  const entries = [
    {
      name: "provision_machine_url",
      value: project && `${project.url}/functions/v1/provision-machine`,
      shown: project ? `${project.url}/functions/v1/provision-machine` : "<the function's URL>",
      wrong: "leads to another function than this project's",
    },
    {
      name: "provision_machine_secret_key",
      value: project?.secretKey ?? null,
      shown: "<a secret key>",
      wrong: "is another key than SUPABASE_SECRET_KEY: an old one, or another project's",
    },
  ];
  const found: Problem[] = [];
  for (const { name, value, shown, wrong } of entries) {
    const [entry] = await sql`
      select id::text as id, decrypted_secret is not distinct from ${value} as same
      from vault.decrypted_secrets where name = ${name}`;
    if (entry === undefined) {
      found.push({
        says: `Vault has no ${name}, so the job cannot call reconcile`,
        fix: `select vault.create_secret('${shown}', '${name}')`,
        ...(value === null
          ? {}
          : { repair: { sql: "select vault.create_secret($1, $2)", parameters: [value, name] } }),
      });
    } else if (value !== null && entry["same"] !== true) {
      found.push({
        says: `Vault's ${name} ${wrong}`,
        fix: `select vault.update_secret('${entry["id"]}', '${shown}')`,
        repair: {
          sql: "select vault.update_secret($1::uuid, $2)",
          parameters: [String(entry["id"]), value],
        },
      });
    }
  }
  return found;
}

/** The newest call of reconcile that has an answer; pg_net forgets answers after hours. */
async function answerProblems(sql: postgres.Sql): Promise<Problem[]> {
  const found: Problem[] = [];
  const [answer] = await sql`
    select status_code as status, timed_out, error_msg as error from net._http_response
    where id <= (select reconcile_request_id from public.installation)
    order by id desc limit 1`;
  if (answer !== undefined && answer["status"] !== 200) {
    const how = answer["status"] ?? (answer["timed_out"] ? "none in time" : "none");
    found.push({
      says: `the last call of reconcile was answered with HTTP ${how}` +
        (answer["error"] ? `: ${reasonOf(String(answer["error"]))}` : ""),
      fix: answer["status"] === 401
        ? "compare Vault's provision_machine_secret_key with the project's secret keys"
        : "docs/RUNBOOK.md#by-symptom, reconcile is late",
    });
  }
  const [queue] = await sql`select count(*)::integer as waiting from net.http_request_queue`;
  if (Number(queue?.["waiting"]) > QUEUED) {
    const restart = "select net.worker_restart()";
    found.push({
      says: `${queue?.["waiting"]} calls wait in pg_net's queue: its worker does not run`,
      fix: restart,
      repair: { sql: restart, parameters: [] },
    });
  }
  return found;
}

async function ageProblems(sql: postgres.Sql): Promise<Problem[]> {
  const [run] = await sql<{ age: number | null }[]>`
    select extract(epoch from now() - max(created_at))::float8 as age from public.reconcile_runs`;
  const age = run?.age ?? null;
  if (age !== null && age <= LATE_SECONDS) return [];
  return [{
    says: age === null
      ? "reconcile has never run"
      : `reconcile last ran ${Math.round(age / 60)} minutes ago`,
    fix: "mend what this list says of the schedule; then docs/OPERATIONS.md#schedule-reconcile",
  }];
}
