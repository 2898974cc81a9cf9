/** How alerts reach the webhook: no request waits for them, and none is lost. */
import assert from "node:assert/strict";
import { Alerting } from "../support/alerting.ts";
import { until } from "../support/until.ts";

Deno.test("delivery of alerts", async (t) => {
  await using alerting = await Alerting.start();
  const { stack, webhook } = alerting;

  await t.step("the answer does not wait for the webhook", async () => {
    await alerting.reset();
    await alerting.failures("fly_rejected", 2);
    const release = webhook.hold();
    const answer = await alerting.fail();
    await webhook.nth(1);
    // The webhook has not answered yet, and the answer has already arrived.
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

  await t.step("a recovery never arrives before its alert", async () => {
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
      "the last attempt is logged",
      () => stack.fn.events().some(({ message }) => /failed for the last time/.test(message)),
    );
    const [row] = await alerting.rows();
    assert.deepEqual([row?.attempts, row?.next_attempt_at, row?.sent_at], [20, null, null]);
  });

  await t.step(
    "an isolate that dies before sending leaves the message to reconcile",
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
      assert.deepEqual(due.data, [], "what one isolate leased is not due for others");
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
