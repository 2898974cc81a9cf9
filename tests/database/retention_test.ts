/** What prune_history deletes, and what it keeps. */
import assert from "node:assert/strict";
import { type LocalSupabase, startSupabase } from "../../dev/stack/supabase/mod.ts";

async function names(supabase: LocalSupabase): Promise<string[]> {
  const rows = await supabase.sql<{ machine_id: string }>(
    "select machine_id from cloud_machines order by machine_id",
  );
  return rows.map(({ machine_id }) => machine_id);
}

/** Rows whose last change was `days` ago. */
async function insert(
  supabase: LocalSupabase,
  name: string,
  { status, days, due = false }: { status: string; days: number; due?: boolean },
): Promise<void> {
  const live = status === "running" || status === "stopped";
  await supabase.sql(
    `insert into cloud_machines (machine_id, fly_machine_id, fly_app_name, region, cpu_priority,
       status, error_code, error_message, stop_reason, websocket_url, provisioned_at, request_hash,
       request_id, deadline_at, reconcile_at, created_at, updated_at)
     select $1, 'fly', 'app', 'iad', 'low', $2, case when $2 = 'error' then 'interrupted' end,
       case when $2 = 'error' then 'it died' end, case when $2 = 'stopped' then 'idle' end,
       case when $3 then 'wss://example.com' end, case when $3 then now() end, '', 'r', now(),
       case when $4 then now() end, now() - make_interval(days => $5), now() - make_interval(days => $5)`,
    [name, status, live, due, days],
  );
}

Deno.test("retention", async (t) => {
  const supabase = await startSupabase();
  try {
    await t.step("closed rows go after 90 days, never while anything may be left", async () => {
      await insert(supabase, "old-destroyed", { status: "destroyed", days: 91 });
      await insert(supabase, "old-error", { status: "error", days: 91 });
      await insert(supabase, "old-error-to-be-cleaned-up", {
        status: "error",
        days: 91,
        due: true,
      });
      await insert(supabase, "old-running", { status: "running", days: 400 });
      await insert(supabase, "old-stopped", { status: "stopped", days: 400 });
      await insert(supabase, "young-destroyed", { status: "destroyed", days: 89 });
      await supabase.sql("select prune_history()");
      assert.deepEqual(await names(supabase), [
        "old-error-to-be-cleaned-up",
        "old-running",
        "old-stopped",
        "young-destroyed",
      ]);
    });

    await t.step("a little at a time", async () => {
      for (let n = 0; n < 5; n++) {
        await insert(supabase, `many-${n}`, { status: "destroyed", days: 100 + n });
      }
      await supabase.sql("select prune_history(90, 3)");
      const left = (await names(supabase)).filter((name) => name.startsWith("many-"));
      assert.deepEqual(left, ["many-0", "many-1"]);
    });

    await t.step("an alert that is no longer taken is given up", async () => {
      await supabase.sql(
        `insert into alerts (kind, event, content, attempts, next_attempt_at) values
         ('failures', 'firing', '{}', 3, now() - interval '25 hours'),
         ('failures', 'firing', '{}', 3, now() - interval '1 hour')`,
      );
      await supabase.sql("select prune_history()");
      const rows = await supabase.sql("select 1 from alerts where next_attempt_at is not null");
      assert.equal(rows.length, 1);
    });

    await t.step("pg_cron's record of our own jobs is kept for a week", async () => {
      // The two tables as pg_cron has them: https://github.com/citusdata/pg_cron
      await supabase.sql("create schema cron");
      await supabase.sql("create table cron.job (jobid bigint primary key, jobname text)");
      await supabase.sql(
        "create table cron.job_run_details (jobid bigint, runid bigint, end_time timestamptz)",
      );
      await supabase.sql(
        "insert into cron.job values (1, 'provision-machine-reconcile'), (2, 'somebody-elses')",
      );
      await supabase.sql(
        `insert into cron.job_run_details values
         (1, 1, now() - interval '8 days'), (1, 2, now() - interval '6 days'), (1, 3, null),
         (2, 4, now() - interval '8 days')`,
      );
      await supabase.sql("select prune_history()");
      const kept = await supabase.sql<{ runid: number }>(
        "select runid::integer from cron.job_run_details order by runid",
      );
      assert.deepEqual(kept.map(({ runid }) => runid), [2, 3, 4]);
    });
  } finally {
    await supabase.close();
  }
});
