/** Alerts: when, once, what they say, and that nothing waits for them or is lost. */
import assert from "node:assert/strict";
import postgres from "postgres";
import { startPostgres } from "../dev/postgres/mod.ts";
import { startSupabase } from "../dev/supabase/mod.ts";
import { HINTS } from "../supabase/functions/provision-machine/alerts/hints.ts";
import { postgresTest } from "./postgres/postgres-test.ts";
import { Alerting } from "./support/alerting.ts";
import { until } from "./support/until.ts";

Deno.test("alerts", async (t) => {
  await using alerting = await Alerting.start();
  const { stack, webhook } = alerting;

  await t.step(
    "nothing below the threshold, one message at it, silence in the cooldown",
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
          `Newest request: ${third.requestId}`,
          `What to do: ${HINTS.fly_rejected}`,
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
    assert.ok(webhook.texts[0]?.endsWith(`What to do: ${HINTS.fly_capacity}`));
  });

  await t.step("failures outside the window do not count", async () => {
    await alerting.reset();
    await alerting.failures("fly_capacity", 2);
    await alerting.pass(11);
    await alerting.failAndSettle();
    assert.deepEqual(webhook.texts, []);
  });

  await t.step(
    "still failing after the cooldown: told again, by reconcile at the latest",
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

  await t.step("a message when it is over, once", async () => {
    await alerting.pass(9);
    assert.equal(await alerting.reconcile(), 0);
    await alerting.pass(2);
    assert.equal(await alerting.reconcile(), 1);
    assert.equal(await alerting.reconcile(), 0);
    assert.deepEqual(webhook.texts.slice(2), [
      "✅ provision-machine recovered: no failures in the last 10 minutes",
    ]);
  });

  await t.step("failing again in the cooldown after a recovery is told, when it ends", async () => {
    await alerting.failures("fly_unavailable", 3);
    assert.equal(await alerting.reconcile(), 0);
    // Over for so long that no window holds the failures any more.
    await alerting.pass(19);
    assert.equal(await alerting.reconcile(), 1);
    assert.match(webhook.texts.at(-1) ?? "", /^❌.*: 3 failures(.|\n)*• fly_unavailable: 3/);
    assert.equal(await alerting.reconcile(), 1);
    assert.match(webhook.texts.at(-1) ?? "", /^✅/);
  });

  await t.step("a broken configuration alerts at once, and is over on its own", async () => {
    await alerting.reset();
    await using fn = await stack.start({ DOCKER_IMAGE: undefined });
    const answer = await alerting.failAndSettle(fn);
    assert.equal(answer.body.code, "configuration_error");
    assert.deepEqual(webhook.texts, [
      [
        "❌ provision-machine: 1 failure in the last 10 minutes",
        "• configuration_error: 1",
        `Newest request: ${answer.requestId}`,
        `What to do: ${HINTS.configuration_error}`,
      ].join("\n"),
    ]);
    await alerting.failAndSettle(fn);
    assert.equal(webhook.texts.length, 1);
    await alerting.pass(11);
    assert.equal(await alerting.reconcile(), 1);
    assert.match(webhook.texts[1] ?? "", /recovered: no configuration errors/);
    stack.simulator.clearFaults();
  });

  await t.step("isolates that fail at the same moment send one message", async () => {
    await alerting.reset();
    await using other = await stack.start();
    const decided = alerting.decisions();
    await Promise.all(
      Array.from({ length: 10 }, (_, i) => alerting.fail(i % 2 === 0 ? other : stack.fn)),
    );
    await until("all are decided", () => alerting.decisions() === decided + 10);
    await alerting.sent();
    assert.equal(webhook.texts.length, 1);
    assert.equal((await alerting.rows()).length, 1);
  });

  await t.step("the answer does not wait for the webhook", async () => {
    await alerting.reset();
    await alerting.failures("fly_rejected", 2);
    const release = webhook.hold();
    const answer = await alerting.fail();
    await webhook.nth(1);
    // The webhook holds the message still, and the answer has long been here.
    assert.equal(answer.body.code, "fly_rejected");
    const [row] = await alerting.rows();
    assert.deepEqual([row?.attempts, row?.sent_at], [0, null]);
    release();
    await until("the message is noted as sent", async () => (await alerting.rows())[0]?.sent_at);
  });

  await t.step("a webhook that fails is logged, and reconcile tries again", async () => {
    await alerting.reset();
    await alerting.failures("fly_rejected", 2);
    webhook.answerWith(503);
    const answer = await alerting.fail();
    assert.equal(answer.body.code, "fly_rejected");
    const logged = await until(
      "the failed webhook is logged",
      () => stack.fn.events().find(({ message }) => message.startsWith("The alert webhook failed")),
    );
    assert.equal(logged.stream, "stderr");
    assert.equal(logged.level, "error");
    assert.equal(logged["afterRequestId"], answer.requestId);
    assert.equal(logged["attempt"], 1);
    assert.match(JSON.stringify(logged["error"]), /the webhook answered 503/);

    const [row] = await until("it is noted", async () => {
      const rows = await alerting.rows();
      return rows[0]?.attempts === 1 && rows;
    });
    assert.equal(row?.last_error, "the webhook answered 503");
    assert.equal(await alerting.reconcile(), 0, "not before its time");
    assert.equal(webhook.texts.length, 1);
    await alerting.pass(2);
    assert.equal(await alerting.reconcile(), 0, "the webhook still fails");
    webhook.answerWith(200);
    await alerting.pass(3);
    assert.equal(await alerting.reconcile(), 1);
    assert.equal(await alerting.reconcile(), 0);
    assert.deepEqual([...new Set(webhook.texts)].length, 1);
    assert.equal(webhook.texts.length, 3);
    const sent = await alerting.rows();
    assert.deepEqual(sent.map(({ attempts, last_error }) => [attempts, last_error]), [[3, null]]);
  });

  await t.step("no recovery arrives before the alert that it is from", async () => {
    await alerting.reset();
    await alerting.failures("fly_rejected", 3);
    webhook.answerWith(500);
    await alerting.reconcile();
    await alerting.pass(11);
    await alerting.reconcile();
    assert.deepEqual((await alerting.rows()).map(({ event }) => event), ["firing", "recovered"]);
    webhook.answerWith(200);
    webhook.deliveries.length = 0;
    await alerting.pass(60);
    assert.equal(await alerting.reconcile(), 2);
    assert.deepEqual(webhook.texts.map((text) => text.slice(0, 1)), ["❌", "✅"]);
  });

  await t.step("a message is given up after half a day, and that is logged too", async () => {
    await alerting.reset();
    await alerting.failures("fly_rejected", 3);
    webhook.answerWith(404);
    await alerting.reconcile();
    await stack.supabase.sql("update alerts set attempts = 19, next_attempt_at = now()");
    await alerting.reconcile();
    webhook.answerWith(200);
    await until(
      "that it was the last time is logged",
      () => stack.fn.events().some(({ message }) => /failed for the last time/.test(message)),
    );
    const [row] = await alerting.rows();
    assert.deepEqual([row?.attempts, row?.next_attempt_at, row?.sent_at], [20, null, null]);
  });

  await t.step(
    "an isolate that dies before it could send leaves the message to reconcile",
    async () => {
      await alerting.reset();
      await alerting.failures("fly_rejected", 3);
      const service = stack.supabase.serviceClient();
      const decided = await service.rpc("evaluate_alerts", {
        p_threshold: 3,
        p_window_ms: 600_000,
        p_cooldown_ms: 1_800_000,
        p_lease_ms: 30_000,
      });
      assert.equal(decided.data.length, 1);
      const due = await service.rpc("take_due_alerts", { p_limit: 5, p_lease_ms: 30_000 });
      assert.deepEqual(due.data, [], "what is leased is nobody else's");
      assert.equal(await alerting.reconcile(), 0);
      await alerting.pass(1);
      assert.equal(await alerting.reconcile(), 1);
      assert.equal(webhook.texts.length, 1);
    },
  );

  await t.step("a redirect is not followed", async () => {
    await using elsewhere = await redirectTo(webhook.url);
    await alerting.reset();
    await alerting.failures("fly_rejected", 2);
    await using fn = await stack.start({ ALERT_WEBHOOK_URL: elsewhere.url });
    fn.expectCutOff("none");
    await alerting.fail(fn);
    await until("it is noted", async () => (await alerting.rows())[0]?.attempts === 1);
    assert.deepEqual(webhook.texts, []);
    assert.match((await alerting.rows())[0]?.last_error ?? "", /answered 30[78]/);
  });

  await t.step("without a webhook nothing is decided, and nothing is kept for later", async () => {
    await alerting.reset();
    await using fn = await stack.start({ ALERT_WEBHOOK_URL: undefined });
    await alerting.failures("fly_rejected", 2);
    const answer = await alerting.fail(fn);
    await fn.log(answer.requestId);
    const reconciled = await fn.call(null, {
      path: "/reconcile",
      headers: { apikey: stack.supabase.secretKey },
    });
    assert.equal(reconciled.status, 200);
    assert.deepEqual(await alerting.rows(), []);
  });
});

Deno.test("alerts when the database is the problem", async (t) => {
  await using alerting = await Alerting.start();
  const { stack, webhook } = alerting;
  const fail = async () => {
    const answer = await stack.call(await stack.supabase.createUser(), { body: {} });
    assert.equal(answer.body.code, "database_error");
    return answer;
  };

  await t.step("a failure before there was a row counts like any other", async () => {
    const restore = stack.supabase.onRequest(({ rpc }) =>
      rpc === "claim_machine" ? { kind: "reset-before" } : undefined
    );
    const answers = [await fail(), await fail(), await fail()];
    restore();
    await webhook.nth(1);
    const requestIds = answers.map(({ requestId }) => requestId);
    assert.match(webhook.texts[0] ?? "", /: 3 failures in .*\n• database_error: 3\n/);
    assert.ok(requestIds.some((id) => webhook.texts[0]?.includes(`Newest request: ${id}`)));
    const events = await stack.supabase.sql<{ request_id: string }>(
      "select request_id from machine_events where cloud_machine_id is null and kind = 'failed'",
    );
    assert.deepEqual(events.map(({ request_id }) => request_id).sort(), requestIds.sort());
    const counted = await stack.supabase.sql(
      "select labels, sum(value)::int as n from metric_counters where metric = 'attempts' group by labels",
    );
    assert.deepEqual(counted, [
      { labels: { outcome: "error", code: "database_error", region: "" }, n: 3 },
    ]);
    await alerting.sent();
  });

  await t.step("a database that is gone is told at once, once for each isolate", async () => {
    webhook.deliveries.length = 0;
    stack.supabase.setOutage({ services: ["rest"] });
    const first = await fail();
    await webhook.nth(1);
    const second = await fail();
    await stack.fn.log(second.requestId);
    await using other = await stack.start();
    const third = await other.call(await stack.supabase.createUser(), { body: {} });
    await webhook.nth(2);
    stack.supabase.setOutage(false);
    assert.deepEqual(
      webhook.texts,
      [first, third].map(({ requestId }) =>
        [
          "❌ provision-machine: database_error: The database could not be used",
          `Newest request: ${requestId}`,
          `What to do: ${HINTS.database_error}`,
        ].join("\n")
      ),
    );
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
    await connections.end();
    await supabase.close();
  }
});

async function redirectTo(location: string): Promise<{ url: string } & AsyncDisposable> {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response(null, { status: 307, headers: { location } }),
  );
  return await Promise.resolve({
    url: `http://localhost:${server.addr.port}/redirecting-hook-canary`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  });
}
