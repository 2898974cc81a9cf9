/**
 * No secret leaves when settings, callers or the alert webhook are at fault: every byte that came
 * out is searched for the canaries.
 */
import assert from "node:assert/strict";
import { startCanaryStack } from "../support/canary-stack.ts";
import type { CallOptions } from "../support/stack.ts";
import { until } from "../support/until.ts";

Deno.test("no secret leaves, whatever mistakes operators and callers make", async (t) => {
  await using world = await startCanaryStack();
  const { stack, webhook, planted, outlet, user } = world;
  const { canaries } = planted;

  await t.step("broken settings, and secrets in the wrong variable", async () => {
    const misplaced = canaries.plant("a token in the wrong variable", (c) => `fo1_${c} X`);
    for (
      const broken of [
        { FLY_API_TOKEN: `${planted.flyToken}\u00e9` },
        { FLY_APP_NAME: misplaced },
        { DOCKER_IMAGE: misplaced },
        { MACHINE_ENV: `{"A": "${misplaced}"` },
        { SUPABASE_SECRET_KEYS: `{"default": "${misplaced}"` },
        { ALERT_WEBHOOK_URL: misplaced },
        { LOG_LEVEL: misplaced, LOG_FORMAT: misplaced },
        { ALLOWED_ORIGINS: misplaced },
        { PROVISION_TIMEOUT_SECONDS: misplaced },
        { FLY_REGION: misplaced, FLY_REGIONS: misplaced },
        { WEBSOCKET_URL_TEMPLATE: misplaced },
      ]
    ) {
      const fn = await world.start(broken);
      assert.equal(
        await world.callAsUser(fn, Object.keys(broken).join()),
        500,
        JSON.stringify(broken),
      );
      await outlet.call(fn, "health", { method: "GET", path: "/health" });
      await outlet.call(fn, "health", {
        method: "GET",
        path: "/health",
        headers: { apikey: stack.supabase.secretKey },
      });
    }
  });

  await t.step("refused callers, whatever they sent", async () => {
    const wrong = canaries.plant("a wrong key", (canary) => `sb_secret_${canary}`);
    const jwt = [
      btoa('{"alg":"HS256","typ":"JWT"}'),
      btoa('{"sub":"nobody"}'),
      canaries.plant("a forged signature"),
    ].map((part) => part.replace(/=+$/, "")).join(".");
    const headers = { "content-type": "application/json" };
    const body = { password: canaries.plant("an unknown field"), region: "iad" };
    for (
      const options of [
        { headers: { ...headers, apikey: wrong }, body: {} },
        { headers: { ...headers, authorization: `Bearer ${wrong}` }, body: {} },
        { headers: { ...headers, authorization: `Basic ${btoa(`u:${wrong}`)}` }, body: {} },
        { headers: { ...headers, authorization: `Bearer ${jwt}` }, body: {} },
        { headers: { ...headers, "x-request-id": wrong, apikey: wrong }, body: {} },
        { method: "GET", path: `/metrics?apikey=${wrong}` },
        { method: "GET", path: "/metrics", headers: { apikey: wrong } },
        { path: "/reconcile", headers: { apikey: wrong } },
      ] satisfies CallOptions[]
    ) {
      const { status } = await outlet.call(stack.fn, "refused", options);
      assert.equal(status, 401, JSON.stringify(options));
    }
    assert.equal(await world.callAsUser(stack.fn, "an unknown field", { body }), 400);
    // An issue names the unknown field, and with it the secret.
    const own = { [user.accessToken]: 1 };
    assert.equal(await world.callAsUser(stack.fn, "the token as a field", { body: own }), 400);
    assert.equal(await world.callAsUser(stack.fn, "no JSON", { body: `{"a": "${wrong}` }), 400);
  });

  await t.step("a webhook that fails", async () => {
    webhook.answerWith(500);
    const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    closed.close();
    const unreachable = webhook.url.replace(/:\d+/, `:${closed.addr.port}`);
    for (const url of [webhook.url, unreachable, unreachable.replace("http://l", "HTTP://L")]) {
      await stack.supabase.sql("delete from alerts");
      const fn = await world.start({ ALERT_WEBHOOK_URL: url, FLY_API_TOKEN: undefined });
      await world.callAsUser(fn, "a webhook that fails");
      await until(
        "the failed webhook is logged",
        () => fn.events().some(({ message }) => message.startsWith("The alert webhook failed")),
      );
    }
    webhook.answerWith(200);
  });

  await t.step("no canary is in any answer, line, message or row", async () => {
    await world.assertNothingLeaked(80_000);
  });
});
