/**
 * No secret leaves while upstreams repeat everything that they know: each outcome is produced, and
 * every byte that came out is searched for the canaries.
 */
import assert from "node:assert/strict";
import type { FlyFault } from "../../dev/stack/fly/mod.ts";
import { startCanaryStack } from "../support/canary-stack.ts";
import { FLY_FAILURES, TEST_REGIONS } from "../support/failures.ts";
import { databaseError, echoes } from "../support/planted-secrets.ts";

Deno.test("no secret leaves, whatever upstreams do", async (t) => {
  await using world = await startCanaryStack();
  const { stack, planted, outlet } = world;
  const text = await world.start({ LOG_FORMAT: "text" });

  await t.step("a success whose secrets are all known to Fly.io and the row", async () => {
    for (const fn of [stack.fn, text]) assert.equal(await world.callAsUser(fn, "a success"), 200);
    const headers = { prefer: "respond-async", "x-request-id": "answered-before" };
    assert.equal(await world.callAsUser(stack.fn, "202", { headers }), 202);
    await stack.fn.log("answered-before");
  });

  await t.step("Fly.io repeats what it was sent", async () => {
    // In turn as Fly.io's own error body, and as text, as a proxy on the way might answer.
    const refusals = echoes(planted.known).map((echo, index) =>
      index % 3 === 0 ? echo : { error: echo }
    );
    const byRegion = Map.groupBy(
      refusals.entries(),
      ([index]) => TEST_REGIONS[index % TEST_REGIONS.length] ?? "",
    );
    await Promise.all([...byRegion].map(async ([region, ofRegion]) => {
      for (const [index, body] of ofRegion) {
        stack.simulator.addFault({
          match: { action: "create", region },
          do: { kind: "status", status: 422, body },
        });
        const fn = index % 2 === 0 ? stack.fn : text;
        assert.equal(await world.callAsUser(fn, "Fly.io refuses", { body: { region } }), 500);
      }
    }));
  });

  await t.step("every failure at Fly.io", async () => {
    stack.simulator.clearFaults();
    const cases = FLY_FAILURES.filter(({ env }) => env?.["FLY_APP_NAME"] === undefined);
    const byEnv = Map.groupBy(cases.entries(), ([, { env }]) => JSON.stringify(env ?? {}));
    await Promise.all([...byEnv].map(async ([env, group]) => {
      const fn = await world.start({ PROVISION_TIMEOUT_SECONDS: "3", ...JSON.parse(env) });
      await Promise.all(group.map(async ([index, failure]) => {
        const region = TEST_REGIONS[index + 1] ?? "";
        failure.arrange(stack, region);
        const status = await world.callAsUser(fn, failure.name, { body: { region } });
        assert.equal(status, 500, failure.name);
      }));
    }));
    stack.simulator.clearFaults();
  });

  await t.step("retries and an exit event that repeat it", async () => {
    const [first = ""] = planted.known;
    const everySecret = planted.known.join(" ");
    const faults: FlyFault[] = [
      { kind: "status", status: 503, body: { error: first } },
      { kind: "status", status: 500, body: everySecret },
      { kind: "garbage", body: everySecret },
    ];
    for (const effect of faults) {
      stack.simulator.addFault({ match: { action: "create" }, do: effect });
    }
    const fn = await world.start({ PROVISION_TIMEOUT_SECONDS: "10" });
    await world.callAsUser(fn, "retries");
    stack.simulator.addFault({
      match: { action: "create" },
      do: { kind: "fails", state: "failed", exitCode: 1, reason: everySecret },
    });
    assert.equal(await world.callAsUser(stack.fn, "an exit event"), 500);
    stack.simulator.clearFaults();
  });

  await t.step("the database repeats it", async () => {
    const known = [...planted.known, stack.supabase.secretKey];
    for (const secret of [...known, known.join(" ")]) {
      const remove = stack.supabase.addFault({
        match: { rpc: "claim_machine" },
        times: "always",
        do: { kind: "status", status: 400, body: databaseError(secret) },
      });
      const statuses = await Promise.all(
        [text, stack.fn].map((fn) => world.callAsUser(fn, "the database refuses")),
      );
      assert.deepEqual(statuses, [500, 500]);
      remove();
    }
    const remove = stack.supabase.addFault({
      match: { rpc: "mark_machine_running" },
      times: "always",
      do: { kind: "status", status: 500, body: databaseError(known.join(" ")) },
    });
    assert.equal(await world.callAsUser(stack.fn, "the database fails"), 500);
    remove();
  });

  await t.step("reconcile, health and metrics while upstreams repeat it", async () => {
    const headers = { apikey: stack.supabase.secretKey };
    // One secret and one row: a run of reconcile has the log budget of a success, and each failure
    // takes some of it.
    const secret = planted.flyToken;
    await stack.supabase.sql(
      `update cloud_machines set reconcile_at = now() where id =
         (select id from cloud_machines where reconcile_at is not null limit 1)`,
    );
    for (const action of ["list", "get", "delete", "app"] as const) {
      stack.simulator.addFault({
        match: { action },
        times: 30,
        do: { kind: "status", status: 400, body: { error: secret } },
      });
    }
    const fresh = await world.start({});
    for (const fn of [fresh, text]) {
      await outlet.call(fn, "reconcile", { path: "/reconcile", headers });
      await outlet.call(fn, "health", { method: "GET", path: "/health", headers });
    }
    const remove = stack.supabase.addFault({
      match: { rpc: "read_metrics" },
      do: { kind: "status", status: 400, body: { message: secret } },
    });
    await outlet.call(fresh, "metrics", { method: "GET", path: "/metrics", headers });
    remove();
    stack.simulator.clearFaults();
    await outlet.call(fresh, "reconcile", { path: "/reconcile", headers });
  });

  await t.step("no canary is in any answer, line, message or row", async () => {
    await world.assertNothingLeaked(100_000);
  });
});
