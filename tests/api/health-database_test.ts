/** GET /health: what it says of the database: its schema, reconcile's runs, rows and alerts. */
import assert from "node:assert/strict";
import { EXPECTED_SCHEMA_VERSION } from "../../supabase/functions/provision-machine/database/observations.ts";
import { complaints, health } from "../support/health.ts";
import { FLY_APP, type Stack, startStack } from "../support/stack.ts";

Deno.test("health of the database", async (t) => {
  await using stack = await startStack({ env: { FLY_ROUTER_URL: "wss://router.example.com" } });
  assert.equal((await stack.reconcile()).status, 200);

  await t.step("a database that the code was not written for", async () => {
    const { answer, checks } = await withReadHealth(
      stack,
      { schema_version: "20250101000000" },
      () => health(stack),
    );
    assert.equal(answer.status, 503);
    assert.deepEqual(complaints(checks), {
      "database:schemaVersion":
        `fail: this code expects ${EXPECTED_SCHEMA_VERSION}: run supabase db push`,
    });
  });

  await t.step("a database without the migrations", async () => {
    const remove = stack.supabase.addFault({
      match: { rpc: "read_health" },
      times: "always",
      do: {
        kind: "status",
        status: 404,
        body: { code: "PGRST202", message: "Could not find the function public.read_health" },
      },
    });
    const { answer, checks } = await health(stack);
    remove();
    assert.equal(answer.status, 503);
    assert.match(complaints(checks)["database:responseTime"] ?? "", /Could not find the function/);
  });

  await t.step("reconcile that is late or never ran, and rows past their deadline", async () => {
    const { sql } = stack.supabase;
    await sql("update reconcile_runs set created_at = now() - interval '6 minutes'");
    const user = await stack.supabase.createUser();
    await sql(
      `insert into cloud_machines (user_id, machine_id, fly_app_name, region, cpu_priority,
         request_hash, request_id, deadline_at, reconcile_at)
       values ($1, 'machine-overdue', $2, 'iad', 'low', 'hash', 'r', now() - interval '3 minutes', now())`,
      [user.id, FLY_APP],
    );
    const late = await health(stack);
    assert.equal(late.answer.status, 200);
    assert.equal(late.answer.body.status, "warn");
    assert.deepEqual(Object.keys(complaints(late.checks)), [
      "reconcile:lastRun",
      "machines:pastDeadline",
    ]);
    assert.equal(late.checks["machines:pastDeadline"]?.observedValue, 1);
    assert.ok(Number(late.checks["reconcile:lastRun"]?.observedValue) >= 360);

    await sql("delete from reconcile_runs");
    const never = await health(stack);
    assert.match(complaints(never.checks)["reconcile:lastRun"] ?? "", /^warn: .*never run/);

    assert.equal((await stack.reconcile()).status, 200);
    assert.equal((await health(stack)).answer.body.status, "pass");
  });

  await t.step(
    "reconcile that has not run for ten minutes, or never in that time: 503",
    async () => {
      const { sql } = stack.supabase;
      await sql("update reconcile_runs set created_at = now() - interval '11 minutes'");
      const late = await health(stack);
      assert.equal(late.answer.status, 503);
      assert.match(complaints(late.checks)["reconcile:lastRun"] ?? "", /^fail: reconcile is late/);
      await sql("delete from reconcile_runs");
      await sql("update installation set created_at = now() - interval '11 minutes'");
      const never = await health(stack);
      assert.equal(never.answer.status, 503);
      assert.match(complaints(never.checks)["reconcile:lastRun"] ?? "", /^fail: .*never run/);
      assert.equal((await stack.reconcile()).status, 200);
    },
  );

  await t.step("reconcile in which everything fails for ten minutes: 503", async () => {
    const { simulator } = stack;
    simulator.addFault({ match: {}, times: "always", do: { kind: "status", status: 503 } });
    for (let run = 0; run < 4; run++) assert.ok((await stack.reconcile()).body.failed > 0);
    const earlier = await stack.supabase.sql(
      "delete from reconcile_runs where counts ->> 'failed' = '0'",
    );
    assert.deepEqual(earlier, []);
    simulator.clearFaults();
    assert.equal((await health(stack)).answer.body.status, "pass");
    simulator.addFault({ match: { action: "list" }, do: { kind: "status", status: 503 } });
    assert.equal((await stack.reconcile()).body.failed, 1);
    const failing = await health(stack);
    assert.equal(failing.answer.status, 503);
    assert.match(complaints(failing.checks)["reconcile:lastRun"] ?? "", /^fail: everything that/);
    // One run in which something works is enough.
    assert.equal((await stack.reconcile()).status, 200);
    assert.equal((await health(stack)).answer.body.status, "pass");
  });

  await t.step("an alert that was never delivered", async () => {
    const { sql } = stack.supabase;
    await sql(
      `insert into alerts (kind, event, content, attempts, last_error)
       values ('failures', 'firing', '{}', 20, 'the webhook answered 404')`,
    );
    const { answer, checks } = await health(stack);
    await sql("delete from alerts");
    assert.equal(answer.body.status, "warn");
    assert.deepEqual(complaints(checks), { "alerts:undelivered": "warn: 1" });
  });
});

/** Runs `work` while the answer of `read_health` has the `changed` members. */
async function withReadHealth<T>(
  stack: Stack,
  changed: Record<string, unknown>,
  work: () => Promise<T>,
): Promise<T> {
  const { sql } = stack.supabase;
  await sql("alter function public.read_health() rename to read_health_really");
  await sql(
    `create function public.read_health() returns jsonb language sql as
     $$ select public.read_health_really() || '${JSON.stringify(changed)}'::jsonb $$`,
  );
  try {
    return await work();
  } finally {
    await sql("drop function public.read_health()");
    await sql("alter function public.read_health_really() rename to read_health");
  }
}
