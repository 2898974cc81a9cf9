/**
 * No secret leaves: canaries are planted everywhere that a secret can come from, every outcome is
 * brought about, and every byte that came out is searched for them.
 */
import assert from "node:assert/strict";
import type { FlyFault } from "../../dev/stack/fly/mod.ts";
import { FLY_FAILURES, TEST_REGIONS } from "../support/failures.ts";
import { databaseError, dumpOf, echoes, Outlet, plant } from "../support/planted-secrets.ts";
import type { RunningFunction } from "../support/running-function.ts";
import { type CallOptions, startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";
import { Webhook } from "../support/webhook.ts";

const REGIONS = TEST_REGIONS.join(",");

Deno.test("no secret leaves, whatever happens", async (t) => {
  await using webhook = Webhook.start();
  const planted = plant(webhook);
  const { canaries, env } = planted;
  await using stack = await startStack({
    env: { FLY_REGIONS: REGIONS, ...env },
    fly: { tokens: [planted.flyToken.replace(/^FlyV1 /, "")], regions: TEST_REGIONS },
  });
  const keys = {
    SUPABASE_SECRET_KEYS: JSON.stringify({
      default: stack.supabase.secretKey,
      other: planted.otherKey,
    }),
  };
  await stack.restart(keys);
  stack.fn.expectCutOff("none");
  canaries.add("the project's secret key", stack.supabase.secretKey);
  canaries.add("the project's service_role key", stack.supabase.serviceRoleKey);
  const outlet = new Outlet();
  const functions: RunningFunction[] = [stack.fn];
  const started = async (changed: Record<string, string | undefined>) => {
    const fn = await stack.start({ ...keys, ...changed });
    fn.expectCutOff("none");
    functions.push(fn);
    return fn;
  };
  const user = await stack.supabase.createUser();
  canaries.add("a user's access token", user.accessToken);
  const sent = {
    authorization: `Bearer ${user.accessToken}`,
    "content-type": "application/json",
    cookie: `session=${canaries.plant("a cookie")}`,
    "x-forwarded-authorization": canaries.plant("an unknown header"),
    traceparent: `00-${"ab".repeat(16)}-${"cd".repeat(8)}-01`,
  };
  const callAsUser = async (fn: RunningFunction, where: string, options: CallOptions = {}) => {
    const headers = { ...sent, ...options.headers };
    return (await outlet.call(fn, where, { body: {}, ...options, headers })).status;
  };
  const text = await started({ LOG_FORMAT: "text" });

  await t.step("a success, of which Fly.io and the row know everything", async () => {
    for (const fn of [stack.fn, text]) assert.equal(await callAsUser(fn, "a success"), 200);
    const headers = { prefer: "respond-async", "x-request-id": "answered-before" };
    assert.equal(await callAsUser(stack.fn, "202", { headers }), 202);
    await stack.fn.log("answered-before");
  });

  await t.step("Fly.io says again what it was sent", async () => {
    // In turn as Fly.io's own error body, and as whatever a proxy on the way would say.
    const told = echoes(planted.known).map((echo, index) =>
      index % 3 === 0 ? echo : { error: echo }
    );
    const byRegion = Map.groupBy(
      told.entries(),
      ([index]) => TEST_REGIONS[index % TEST_REGIONS.length] ?? "",
    );
    await Promise.all([...byRegion].map(async ([region, said]) => {
      for (const [index, body] of said) {
        stack.simulator.addFault({
          match: { action: "create", region },
          do: { kind: "status", status: 422, body },
        });
        const fn = index % 2 === 0 ? stack.fn : text;
        assert.equal(await callAsUser(fn, "Fly.io refuses", { body: { region } }), 500);
      }
    }));
  });

  await t.step("every failure at Fly.io", async () => {
    stack.simulator.clearFaults();
    const cases = FLY_FAILURES.filter(({ env }) => env?.["FLY_APP_NAME"] === undefined);
    const byEnv = Map.groupBy(cases.entries(), ([, { env }]) => JSON.stringify(env ?? {}));
    await Promise.all([...byEnv].map(async ([env, group]) => {
      const fn = await started({ PROVISION_TIMEOUT_SECONDS: "3", ...JSON.parse(env) });
      await Promise.all(group.map(async ([index, failure]) => {
        const region = TEST_REGIONS[index + 1] ?? "";
        failure.arrange(stack, region);
        const status = await callAsUser(fn, failure.name, { body: { region } });
        assert.equal(status, 500, failure.name);
      }));
    }));
    stack.simulator.clearFaults();
  });

  await t.step("retries, and an exit event, that say it again", async () => {
    const [first = ""] = planted.known;
    const told = planted.known.join(" ");
    const faults: FlyFault[] = [
      { kind: "status", status: 503, body: { error: first } },
      { kind: "status", status: 500, body: told },
      { kind: "garbage", body: told },
    ];
    for (const effect of faults) {
      stack.simulator.addFault({ match: { action: "create" }, do: effect });
    }
    const fn = await started({ PROVISION_TIMEOUT_SECONDS: "10" });
    await callAsUser(fn, "retries");
    stack.simulator.addFault({
      match: { action: "create" },
      do: { kind: "fails", state: "failed", exitCode: 1, reason: told },
    });
    assert.equal(await callAsUser(stack.fn, "an exit event"), 500);
    stack.simulator.clearFaults();
  });

  await t.step("the database says it again", async () => {
    const known = [...planted.known, stack.supabase.secretKey];
    for (const secret of [...known, known.join(" ")]) {
      const remove = stack.supabase.addFault({
        match: { rpc: "claim_machine" },
        times: "always",
        do: { kind: "status", status: 400, body: databaseError(secret) },
      });
      const statuses = await Promise.all(
        [text, stack.fn].map((fn) => callAsUser(fn, "the database refuses")),
      );
      assert.deepEqual(statuses, [500, 500]);
      remove();
    }
    const remove = stack.supabase.addFault({
      match: { rpc: "mark_machine_running" },
      times: "always",
      do: { kind: "status", status: 500, body: databaseError(known.join(" ")) },
    });
    assert.equal(await callAsUser(stack.fn, "the database fails"), 500);
    remove();
  });

  await t.step("settings that are broken, and secrets in the wrong one", async () => {
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
      const fn = await started(broken);
      assert.equal(await callAsUser(fn, Object.keys(broken).join()), 500, JSON.stringify(broken));
      await outlet.call(fn, "health", { method: "GET", path: "/health" });
      await outlet.call(fn, "health", {
        method: "GET",
        path: "/health",
        headers: { apikey: stack.supabase.secretKey },
      });
    }
  });

  await t.step("callers who are refused, with whatever they sent", async () => {
    const wrong = canaries.plant("a wrong key", (canary) => `sb_secret_${canary}`);
    const jwt = [
      btoa('{"alg":"HS256","typ":"JWT"}'),
      btoa('{"sub":"nobody"}'),
      canaries.plant("a forged signature"),
    ].map((part) => part.replace(/=+$/, "")).join(".");
    const headers = { "content-type": "application/json" };
    const body = { password: canaries.plant("a field that nobody knows"), region: "iad" };
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
    assert.equal(await callAsUser(stack.fn, "an unknown field", { body }), 400);
    // What is said of a body's keys repeats them.
    const own = { [user.accessToken]: 1 };
    assert.equal(await callAsUser(stack.fn, "the token as a field", { body: own }), 400);
    assert.equal(await callAsUser(stack.fn, "no JSON", { body: `{"a": "${wrong}` }), 400);
  });

  await t.step("a webhook that fails", async () => {
    webhook.answerWith(500);
    const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    closed.close();
    const unreachable = webhook.url.replace(/:\d+/, `:${closed.addr.port}`);
    for (const url of [webhook.url, unreachable, unreachable.replace("http://l", "HTTP://L")]) {
      await stack.supabase.sql("delete from alerts");
      const fn = await started({ ALERT_WEBHOOK_URL: url, FLY_API_TOKEN: undefined });
      await callAsUser(fn, "a webhook that fails");
      await until(
        "the failed webhook is logged",
        () => fn.events().some(({ message }) => message.startsWith("The alert webhook failed")),
      );
    }
    webhook.answerWith(200);
  });

  await t.step("reconcile, health and metrics while upstreams say it again", async () => {
    const headers = { apikey: stack.supabase.secretKey };
    // One at a time: a run of reconcile has the budget of a success in the log.
    const told = planted.flyToken;
    // One row: each that fails costs a place in the log, whose budget is that of a success.
    await stack.supabase.sql(
      `update cloud_machines set reconcile_at = now() where id =
         (select id from cloud_machines where reconcile_at is not null limit 1)`,
    );
    for (const action of ["list", "get", "delete", "app"] as const) {
      stack.simulator.addFault({
        match: { action },
        times: 30,
        do: { kind: "status", status: 400, body: { error: told } },
      });
    }
    const fresh = await started({});
    for (const fn of [fresh, text]) {
      await outlet.call(fn, "reconcile", { path: "/reconcile", headers });
      await outlet.call(fn, "health", { method: "GET", path: "/health", headers });
    }
    const remove = stack.supabase.addFault({
      match: { rpc: "read_metrics" },
      do: { kind: "status", status: 400, body: { message: told } },
    });
    await outlet.call(fresh, "metrics", { method: "GET", path: "/metrics", headers });
    remove();
    stack.simulator.clearFaults();
    await outlet.call(fresh, "reconcile", { path: "/reconcile", headers });
  });

  await t.step("nothing of it is anywhere", async () => {
    const output: [string, string][] = [];
    const audited: string[] = [];
    for (const fn of functions) {
      if (fn !== stack.fn) await fn.stop().catch((error) => audited.push(String(error)));
      output.push(["the output", fn.lines.map(({ line }) => line).join("\n")]);
    }
    const webhookTexts = webhook.deliveries.map((
      { raw },
    ): [string, string] => ["the webhook", raw]);
    assert.ok(webhookTexts.length > 0);
    const stored = await dumpOf(stack);
    const found = [...outlet.texts, ...output, ...webhookTexts, ...stored]
      .flatMap(([where, text]) => canaries.findIn(text).map((place) => `${where}: ${place}`));
    assert.deepEqual([...new Set([...found, ...audited])], []);
    const bytes = [...outlet.texts, ...output].reduce((sum, [, text]) => sum + text.length, 0);
    assert.ok(bytes > 100_000, `only ${bytes} characters were searched`);
  });
});
