/** Alerts: when one is sent, that it is only one, and its text. */
import assert from "node:assert/strict";
import postgres from "postgres";
import { startPostgres } from "../../dev/stack/postgres/mod.ts";
import { startSupabase } from "../../dev/stack/supabase/mod.ts";
import { operatorHint } from "../../supabase/functions/provision-machine/errors.ts";
import { postgresTest } from "../postgres/postgres-test.ts";
import { Alerting } from "../support/alerting.ts";
import { until } from "../support/until.ts";

Deno.test("alerts", async (t) => {
  await using alerting = await Alerting.start();
  const { stack, webhook } = alerting;

  await t.step(
    "nothing below the threshold, one message at it, none in the cooldown",
    async () => {
      await alerting.failAndSettle();
      await alerting.failAndSettle();
      assert.deepEqual(webhook.texts, []);
      const third = await alerting.failAndSettle();
      await alerting.failAndSettle();
      await alerting.failAndSettle();
      assert.deepEqual(webhook.texts, [
        [
          "❌ provision-machine: 3 failures in the last 10 minutes",
          "• fly_rejected: 3",
          `Newest machine: ${third.body.machineId}`,
          `What to do: ${operatorHint("fly_rejected")}`,
        ].join("\n"),
      ]);
      const [delivery] = webhook.deliveries;
      assert.deepEqual(Object.keys(JSON.parse(delivery?.raw ?? "{}")), ["text"]);
      assert.equal(delivery?.headers.get("content-type"), "application/json");
      const [row] = await alerting.rows();
      assert.deepEqual([row?.event, row?.attempts, row?.next_attempt_at], ["firing", 1, null]);
    },
  );

  await t.step("the most frequent code decides what to do", async () => {
    await alerting.reset();
    await alerting.failures("fly_capacity", 3);
    await alerting.failures("provision_timeout", 1);
    await alerting.failAndSettle();
    assert.match(
      webhook.texts.join(),
      /: 5 failures .*\n• fly_capacity: 3\n(• (fly_rejected|provision_timeout): 1\n){2}/,
    );
    assert.ok(webhook.texts[0]?.endsWith(`What to do: ${operatorHint("fly_capacity")}`));
  });

  await t.step("failures outside the window do not count", async () => {
    await alerting.reset();
    await alerting.failures("fly_capacity", 2);
    await alerting.success();
    await alerting.pass(11);
    await alerting.failAndSettle();
    assert.deepEqual(webhook.texts, []);
  });

  await t.step(
    "still failing after the cooldown: alerted again, by reconcile at the latest",
    async () => {
      await alerting.reset();
      await alerting.failures("fly_capacity", 3);
      assert.equal(await alerting.reconcile(), 1);
      assert.equal(await alerting.reconcile(), 0);
      await alerting.pass(30);
      await alerting.failures("fly_capacity", 4);
      assert.equal(await alerting.reconcile(), 1);
      assert.match(webhook.texts[1] ?? "", /: 4 failures/);
    },
  );

  await t.step("one message when the failures are over", async () => {
    await alerting.pass(9);
    assert.equal(await alerting.reconcile(), 0);
    await alerting.pass(2);
    assert.equal(await alerting.reconcile(), 1);
    assert.equal(await alerting.reconcile(), 0);
    assert.deepEqual(webhook.texts.slice(2), [
      "✅ provision-machine recovered: no failures in the last 10 minutes",
    ]);
  });

  await t.step("a relapse during the cooldown is reported when the cooldown ends", async () => {
    await alerting.failures("fly_capacity", 3);
    assert.equal(await alerting.reconcile(), 0);
    // So long ago that no window contains the failures any more.
    await alerting.pass(19);
    assert.equal(await alerting.reconcile(), 1);
    assert.match(webhook.texts.at(-1) ?? "", /^❌.*: 3 failures(.|\n)*• fly_capacity: 3/);
    assert.equal(await alerting.reconcile(), 1);
    assert.match(webhook.texts.at(-1) ?? "", /^✅/);
  });

  await t.step("a broken configuration alerts at once, and has its own recovery", async () => {
    await alerting.reset();
    await using fn = await stack.start({ DOCKER_IMAGE: undefined });
    const answer = await alerting.failAndSettle(fn);
    assert.equal(answer.body.code, "configuration_error");
    assert.deepEqual(webhook.texts, [
      [
        "❌ provision-machine: 1 failure in the last 10 minutes",
        "• configuration_error: 1",
        `Newest machine: ${answer.body.machineId}`,
        `What to do: ${operatorHint("configuration_error")}`,
      ].join("\n"),
    ]);
    await alerting.failAndSettle(fn);
    assert.equal(webhook.texts.length, 1);
    await alerting.pass(11);
    assert.equal(await alerting.reconcile(), 1);
    assert.match(webhook.texts[1] ?? "", /recovered: no configuration or account errors/);
    stack.simulator.clearFaults();
  });

  await t.step("so does an organisation that gets nothing more from Fly.io", async () => {
    await alerting.reset();
    await alerting.failures("fly_account_limit", 1);
    assert.equal(await alerting.reconcile(), 1);
    assert.match(webhook.texts[0] ?? "", /: 1 failure .*\n• fly_account_limit: 1\n/);
    assert.ok(webhook.texts[0]?.endsWith(operatorHint("fly_account_limit")));
    assert.equal(await alerting.reconcile(), 0);
  });

  await t.step(
    "a lost machine, and one that stopped by itself, count like any failure",
    async () => {
      await alerting.reset();
      await stack.supabase.sql(
        `insert into machine_events (request_id, kind, error_code) values
       ('r1', 'machine_lost', 'machine_lost'), ('r2', 'crashed', 'machine_stopped'),
       ('r3', 'crashed', 'machine_stopped'), ('r4', 'stopped', null)`,
      );
      assert.equal(await alerting.reconcile(), 1);
      assert.match(
        webhook.texts[0] ?? "",
        /: 3 failures .*\n• machine_stopped: 2\n• machine_lost: 1\n/,
      );
      assert.ok(webhook.texts[0]?.endsWith(operatorHint("machine_stopped")));
    },
  );

  await t.step(
    "reconcile that does not run: one message by the next request, one when it does",
    async () => {
      await alerting.reset();
      await stack.supabase.sql(
        "update reconcile_runs set created_at = now() - interval '11 minutes'",
      );
      const user = await stack.supabase.createUser();
      for (let n = 0; n < 3; n++) {
        const { status, body } = await stack.call(user, { body: {} });
        assert.equal(status, 200, JSON.stringify(body));
        await stack.call(user, { method: "DELETE", path: `/${body.machineId}` });
      }
      await until("the alert is sent", () => webhook.texts.length === 1);
      assert.deepEqual(webhook.texts, [
        "❌ provision-machine: reconcile has not run for ten minutes\n" +
        `What to do: ${operatorHint("reconcile_late")}`,
      ]);
      // The run that ends the silence does not report it.
      assert.equal(await alerting.reconcile(), 1);
      assert.deepEqual(webhook.texts.slice(1), ["✅ provision-machine: reconcile works again"]);
      assert.equal(await alerting.reconcile(), 0);
    },
  );

  await t.step("isolates that fail at the same moment send one message", async () => {
    await alerting.reset();
    await using other = await stack.start();
    const decided = alerting.decisions();
    await Promise.all(
      Array.from({ length: 10 }, (_, i) => alerting.fail(i % 2 === 0 ? other : stack.fn)),
    );
    await until("the alert is sent", () => webhook.texts.length > 0);
    await alerting.sent();
    assert.equal(webhook.texts.length, 1);
    assert.equal((await alerting.rows()).length, 1);
    assert.ok(alerting.decisions() <= decided + 10);
  });

  await t.step("an isolate asks one thing at a time, for all that failed meanwhile", async () => {
    await alerting.reset();
    const decided = alerting.decisions();
    const asked = Promise.withResolvers<void>();
    const answered = Promise.withResolvers<void>();
    const restore = stack.supabase.onRequest(async ({ rpc }) => {
      if (rpc !== "evaluate_alerts") return undefined;
      asked.resolve();
      await answered.promise;
      return undefined;
    });
    await alerting.fail();
    await asked.promise;
    await Promise.all(Array.from({ length: 8 }, () => alerting.fail()));
    answered.resolve();
    await until("the alert is sent", () => webhook.texts.length === 1);
    restore();
    await alerting.sent();
    // Time for questions that should not come.
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal(alerting.decisions(), decided + 2);
  });

  await t.step("one code's cooldown does not hide another", async () => {
    await alerting.reset();
    await alerting.failures("machine_failed", 3);
    assert.equal(await alerting.reconcile(), 1);
    await alerting.failures("machine_failed", 3);
    await alerting.failures("provision_timeout", 2);
    // Not as many as alert, and the newest attempts are of both kinds.
    await alerting.success();
    assert.equal(await alerting.reconcile(), 0);
    await alerting.failures("provision_timeout", 1);
    assert.equal(await alerting.reconcile(), 1);
    assert.match(webhook.texts[1] ?? "", /: 3 failures in .*\n• provision_timeout: 3\nWhat/);
    assert.equal(await alerting.reconcile(), 0);
  });

  await t.step("every one of the last attempts failed, however far apart", async () => {
    await alerting.reset();
    for (let n = 0; n < 3; n++) {
      assert.equal(await alerting.reconcile(), 0);
      await alerting.pass(20);
      await alerting.failures("fly_capacity", 1);
    }
    assert.equal(await alerting.reconcile(), 1);
    assert.match(
      webhook.texts[0] ?? "",
      /every one of the last 3 attempts failed\n• fly_capacity: 3\n/,
    );
    assert.equal(await alerting.reconcile(), 0);
  });

  await t.step("a refused token of Fly.io alerts at once", async () => {
    await alerting.reset();
    await alerting.failures("fly_unauthorized", 1);
    assert.equal(await alerting.reconcile(), 1);
    assert.match(webhook.texts[0] ?? "", /: 1 failure .*\n• fly_unauthorized: 1\n/);
  });
});

postgresTest("on a real Postgres, twenty connections at once decide upon one message", async () => {
  await using server = await startPostgres();
  const supabase = await startSupabase({ databaseUrl: server.url });
  const connections = postgres(server.url, { max: 20, onnotice: () => {} });
  try {
    await supabase.sql(
      `insert into machine_events (request_id, kind, error_code)
       select 'r' || n, 'failed', 'fly_capacity' from generate_series(1, 50) n`,
    );
    await Promise.all(
      Array.from({ length: 20 }, () => connections`select pg_sleep(0.01)`),
    );
    const decisions = await Promise.all(
      Array.from(
        { length: 100 },
        () => connections`select evaluate_alerts(3, 600000, 1800000, 30000) as alerts`,
      ),
    );
    const alerts = decisions.flatMap(([row]) => row?.["alerts"]);
    assert.equal(alerts.length, 1);
    assert.deepEqual(alerts[0].content.byCode, { fly_capacity: 50 });
    const taken = await Promise.all(
      Array.from({ length: 20 }, () => connections`select take_due_alerts(5, 30000) as alerts`),
    );
    assert.deepEqual(taken.flatMap(([row]) => row?.["alerts"]), []);
    await supabase.sql("update alerts set next_attempt_at = now()");
    const due = await Promise.all(
      Array.from({ length: 20 }, () => connections`select take_due_alerts(5, 30000) as alerts`),
    );
    assert.equal(due.flatMap(([row]) => row?.["alerts"]).length, 1);
  } finally {
    await connections.end({ timeout: 1 });
    await supabase.close();
  }
});
