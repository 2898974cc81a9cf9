/** GET /health: who may see which checks, the settings, Fly.io, and how often upstreams are asked. */
import assert from "node:assert/strict";
import { EXPECTED_SCHEMA_VERSION } from "../../supabase/functions/provision-machine/database/observations.ts";
import { complaints, HEALTH, health, healthOf, statuses } from "../support/health.ts";
import { FLY_APP, startStack } from "../support/stack.ts";

/** An app that the token is not valid for. */
const FORBIDDEN_APP = "another-organisations-app";

Deno.test("health", async (t) => {
  await using stack = await startStack({
    fly: { apps: [FLY_APP, FORBIDDEN_APP] },
    env: { FLY_ROUTER_URL: "wss://router.example.com" },
  });
  assert.equal((await stack.reconcile()).status, 200);

  await t.step("everything passes, and a service sees each check", async () => {
    const { answer, checks } = await health(stack);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("content-type"), "application/health+json");
    assert.equal(answer.headers.get("cache-control"), "no-store");
    assert.deepEqual(
      [answer.body.status, answer.body.description, answer.body.version],
      ["pass", "provision-machine", "1"],
    );
    assert.deepEqual(statuses(checks), {
      "environment:SUPABASE_URL": "pass",
      "environment:FLY_API_TOKEN": "pass",
      "environment:FLY_APP_NAME": "pass",
      "environment:DOCKER_IMAGE": "pass",
      "environment:SUPABASE_SECRET_KEYS": "pass",
      "environment:CONNECT_TOKEN_SECRET": "pass",
      "database:responseTime": "pass",
      "database:schemaVersion": "pass",
      "reconcile:lastRun": "pass",
      "machines:pastDeadline": "pass",
      "machines:withoutRow": "pass",
      "database:project": "pass",
      "alerts:undelivered": "pass",
      [`fly:${FLY_APP}`]: "pass",
    });
    for (const { time, componentType, output } of Object.values(checks)) {
      assert.equal(new Date(time).toISOString(), time);
      assert.ok(["system", "datastore", "component"].includes(componentType));
      assert.equal(output, undefined);
    }
    assert.equal(checks["database:schemaVersion"]?.observedValue, EXPECTED_SCHEMA_VERSION);
  });

  await t.step("anyone else sees the status alone", async () => {
    const user = await stack.supabase.createUser();
    const wrongKey = { apikey: `${stack.supabase.secretKey}x` };
    for (
      const answer of [
        await stack.call(null, HEALTH),
        await stack.call(user, HEALTH),
        await stack.call(null, { ...HEALTH, headers: { apikey: stack.supabase.publishableKey } }),
        await stack.call(null, { ...HEALTH, headers: wrongKey }),
        // A user's token next to the secret key: the lesser of the two rights.
        await stack.call(user, { ...HEALTH, headers: { apikey: stack.supabase.secretKey } }),
      ]
    ) {
      assert.equal(answer.status, 200);
      assert.deepEqual(answer.body, { status: "pass" });
    }
  });

  await t.step("each required setting that is missing or malformed", async () => {
    const { answer, checks } = await health(stack, {
      FLY_API_TOKEN: undefined,
      FLY_APP_NAME: "Not An App",
      DOCKER_IMAGE: " ",
      MACHINE_PORT: "-1",
    });
    assert.equal(answer.status, 503);
    assert.equal(answer.body.status, "fail");
    const found = complaints(checks);
    assert.deepEqual(Object.keys(found).sort(), [
      "environment:DOCKER_IMAGE",
      "environment:FLY_API_TOKEN",
      "environment:FLY_APP_NAME",
      "environment:MACHINE_PORT",
    ]);
    assert.equal(found["environment:FLY_API_TOKEN"], "fail: FLY_API_TOKEN missing: not set");
    assert.equal(found["environment:DOCKER_IMAGE"], "fail: DOCKER_IMAGE missing: not set");
    assert.match(found["environment:FLY_APP_NAME"] ?? "", /FLY_APP_NAME invalid: expected/);
  });

  await t.step("which code answers: in the report and in the summary of each request", async () => {
    await using fn = await stack.start({ RELEASE: "5f0e38a" });
    const { answer } = await healthOf(stack, fn);
    assert.equal(answer.body.releaseId, "5f0e38a");
    const summary = (await fn.log(answer.requestId)).at(-1);
    assert.equal(summary?.release, "5f0e38a");
  });

  await t.step("without a secret for connect tokens: a warning", async () => {
    const { answer, checks } = await health(stack, { CONNECT_TOKEN_SECRET: undefined });
    assert.deepEqual([answer.status, answer.body.status], [200, "warn"]);
    assert.deepEqual(complaints(checks), {
      "environment:CONNECT_TOKEN_SECRET":
        "warn: CONNECT_TOKEN_SECRET not set: there are no connect tokens",
    });
  });

  await t.step("a shared app without a router: a warning", async () => {
    const { answer, checks } = await health(stack, { FLY_ROUTER_URL: undefined });
    assert.deepEqual([answer.status, answer.body.status], [200, "warn"]);
    assert.deepEqual(Object.keys(complaints(checks)), ["fly:isolation"]);
  });

  await t.step("an organisation that the token does not reach", async () => {
    const { answer, checks } = await health(stack, { FLY_ORG_SLUG: "another-organisation" });
    assert.equal(answer.status, 503);
    assert.match(complaints(checks)["fly:organization"] ?? "", /^fail: .*organisation token/);
  });

  await t.step(
    "without the platform's own settings anyone gets 503, and nothing more",
    async () => {
      for (
        const env of [
          { SUPABASE_URL: undefined },
          { SUPABASE_SECRET_KEYS: undefined, SUPABASE_SERVICE_ROLE_KEY: undefined },
          { SUPABASE_SECRET_KEYS: "{", SUPABASE_SERVICE_ROLE_KEY: undefined },
        ]
      ) {
        await using fn = await stack.start(env);
        for (const headers of [{}, { apikey: stack.supabase.secretKey }]) {
          const answer = await fn.call(null, { ...HEALTH, headers });
          assert.equal(answer.status, 503, JSON.stringify(env));
          assert.deepEqual(answer.body, { status: "fail" });
        }
      }
    },
  );

  await t.step("a token that is not valid for one of the apps", async () => {
    stack.simulator.addFault({
      match: { action: "app", path: `/v1/apps/${FORBIDDEN_APP}` },
      times: "always",
      do: { kind: "status", status: 403, body: { error: "not authorized" } },
    });
    const { answer, checks } = await health(stack, {
      FLY_APP_NAME: `${FLY_APP},${FORBIDDEN_APP},no-such-app`,
    });
    stack.simulator.clearFaults();
    assert.equal(answer.status, 503);
    const found = complaints(checks);
    assert.deepEqual(Object.keys(found), [`fly:${FORBIDDEN_APP}`, "fly:no-such-app"]);
    assert.match(found[`fly:${FORBIDDEN_APP}`] ?? "", /^fail: .*403/);
    assert.equal(found["fly:no-such-app"], "fail: Fly.io does not know this app");
  });

  await t.step(
    "Fly.io and the database hang: the checks run at the same time, each with a time limit",
    async () => {
      stack.simulator.addFault({
        match: { action: "app" },
        times: "always",
        do: { kind: "hang", when: "before" },
      });
      stack.supabase.setOutage({ services: ["rest"], fault: { kind: "hang", when: "before" } });
      const { answer, checks } = await health(stack);
      stack.supabase.setOutage(false);
      stack.simulator.clearFaults();
      assert.equal(answer.status, 503);
      const found = complaints(checks);
      assert.deepEqual(Object.keys(found), ["database:responseTime", `fly:${FLY_APP}`]);
      for (const complaint of Object.values(found)) assert.match(complaint, /within \d+ ms/);
    },
  );

  await t.step("however many ask at once, each upstream is asked once", async () => {
    await using fn = await stack.start();
    stack.simulator.clearRequests();
    stack.supabase.clearRequests();
    const answers = await Promise.all(
      Array.from({ length: 25 }, () => fn.call(null, HEALTH)),
    );
    for (const { status } of answers) assert.equal(status, 200);
    for (let i = 0; i < 5; i++) await healthOf(stack, fn);
    assert.deepEqual(stack.simulator.requests().map(({ action }) => action), ["app"]);
    assert.equal(stack.supabase.requests({ rpc: "read_health" }).length, 1);
  });
});
