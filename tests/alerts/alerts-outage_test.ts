/** Alerts while the database that decides about them is itself unavailable. */
import assert from "node:assert/strict";
import { operatorHint } from "../../supabase/functions/provision-machine/errors.ts";
import { Alerting } from "../support/alerting.ts";
import { until } from "../support/until.ts";

Deno.test("alerts when the database is the problem", async (t) => {
  await using alerting = await Alerting.start();
  const { stack, webhook } = alerting;
  const outageUser = stack.supabase.createUser();
  const fail = async () => {
    const answer = await stack.call(await stack.supabase.createUser(), { body: {} });
    assert.equal(answer.body.code, "database_error");
    return answer;
  };

  await t.step("a failure before the row exists counts like any other", async () => {
    const restore = stack.supabase.onRequest(({ rpc }) =>
      rpc === "claim_machine" ? { kind: "reset", when: "before" } : undefined
    );
    const answers = [await fail(), await fail(), await fail()];
    restore();
    await webhook.nth(1);
    const requestIds = answers.map(({ requestId }) => requestId);
    assert.match(webhook.texts[0] ?? "", /: 3 failures in .*\n• database_error: 3\n/);
    assert.ok(!requestIds.some((id) => webhook.texts[0]?.includes(id)));
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

  await t.step("a database that is gone is alerted at once, once per isolate", async () => {
    webhook.deliveries.length = 0;
    stack.supabase.setOutage({ services: ["rest"] });
    await fail();
    await webhook.nth(1);
    const second = await fail();
    await stack.fn.log(second.requestId);
    await using other = await stack.start();
    await other.call(await stack.supabase.createUser(), { body: {} });
    await webhook.nth(2);
    stack.supabase.setOutage(false);
    assert.deepEqual(
      webhook.texts,
      [1, 2].map(() =>
        [
          "❌ provision-machine: database_error: The database could not be used",
          `What to do: ${operatorHint("database_error")}`,
        ].join("\n")
      ),
    );
  });

  await t.step("a caller whom Auth cannot identify is no failure to provision", async () => {
    await alerting.reset();
    stack.supabase.setOutage({ services: ["auth"] });
    const user = await outageUser;
    for (let i = 0; i < 3; i++) {
      const { body, requestId } = await stack.call(user, { body: {} });
      assert.equal(body.code, "internal_error");
      assert.match((await stack.fn.failure(requestId)).message, /^❌ Request failed/);
    }
    stack.supabase.setOutage(false);
    assert.deepEqual(await stack.supabase.sql("select 1 from machine_events"), []);
    assert.deepEqual(webhook.texts, []);
  });

  await t.step("missing platform settings are alerted at once", async () => {
    webhook.deliveries.length = 0;
    await using fn = await stack.start({ SUPABASE_URL: undefined });
    const answer = await fn.call(null, { body: {} });
    assert.equal(answer.body.code, "configuration_error");
    await webhook.nth(1);
    assert.match(
      webhook.texts[0] ?? "",
      /^❌ provision-machine: configuration_error: SUPABASE_URL not configured/,
    );
  });

  await t.step("without a webhook a failure without a row is counted too", async () => {
    await alerting.reset();
    await using fn = await stack.start({ ALERT_WEBHOOK_URL: undefined });
    const user = await outageUser;
    const restore = stack.supabase.onRequest(({ rpc }) =>
      rpc === "claim_machine" ? { kind: "reset", when: "before" } : undefined
    );
    const { requestId } = await fn.call(user, { body: {} });
    restore();
    await until("the failure is counted", async () => {
      const events = await stack.supabase.sql(
        "select 1 from machine_events where request_id = $1 and error_code = 'database_error'",
        [requestId],
      );
      return events.length === 1;
    });
    assert.deepEqual(await alerting.rows(), []);
  });
});
