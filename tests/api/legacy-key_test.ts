/** A legacy service_role key beside secret keys counts only while the project's gateway takes it. */
import assert from "node:assert/strict";
import type { Answer } from "../support/stack.ts";
import { assertError, assertSuccess } from "../support/expectations.ts";
import { startStack } from "../support/stack.ts";

const HEALTH = { service: "auth", path: "/auth/v1/health", transport: "http" } as const;

Deno.test("a legacy key beside secret keys", async (t) => {
  await using stack = await startStack({ env: { MAX_MACHINES_PER_USER: "100" } });
  const { supabase } = stack;
  const user = await supabase.createUser();
  const legacy = { authorization: `Bearer ${supabase.serviceRoleKey}` };
  const provision = async (fn = stack.fn, headers: Record<string, string> = legacy) =>
    await fn.call(null, { headers, body: { userId: user.id } });
  const checks = async () => {
    const response = await fetch(`${stack.url}/health`, { headers: legacy });
    return (await response.json()).checks;
  };
  const assertRefused = async (answer: Promise<Answer>) => {
    const rows = await stack.rowsOf(user);
    assertError(await answer, 401, "unauthorized");
    assert.equal((await stack.rowsOf(user)).length, rows.length);
  };

  await t.step("taken by the gateway, which is asked once", async () => {
    supabase.clearRequests();
    const answers = await Promise.all([provision(), provision(), provision()]);
    for (const answer of answers) assertSuccess(answer, 200, "running");
    assertSuccess(await provision(stack.fn, { apikey: supabase.serviceRoleKey }), 200, "running");
    assert.ok(await checks());
    assert.equal(supabase.requests(HEALTH).length, 1);
    assert.equal(supabase.requests(HEALTH)[0]?.status, 200);
  });

  await t.step("disabled: refused everywhere, and secret keys go on", async () => {
    supabase.setLegacyKeys(false);
    await stack.restart();
    supabase.clearRequests();
    await assertRefused(provision());
    await assertRefused(provision(stack.fn, { apikey: supabase.serviceRoleKey }));
    await assertRefused(provision(stack.fn, { ...legacy, apikey: supabase.secretKey }));
    for (const [method, path] of [["GET", "/metrics"], ["POST", "/reconcile"]] as const) {
      await assertRefused(stack.fn.call(null, { method, path, headers: legacy }));
    }
    assert.equal(await checks(), undefined);
    assert.deepEqual(supabase.requests(HEALTH).map(({ status }) => status), [401]);
    assertSuccess(await stack.callAsService({ body: { userId: user.id } }), 200, "running");
    // Users' tokens of the legacy secret are not legacy keys.
    assertSuccess(await stack.call(user, { body: {} }), 200, "running");
  });

  await t.step("alone it is the project's key, and nobody is asked", async () => {
    supabase.setLegacyKeys(true);
    await using fn = await stack.start({ SUPABASE_SECRET_KEYS: "{}" });
    supabase.clearRequests();
    assertSuccess(await provision(fn), 200, "running");
    assert.equal(supabase.requests(HEALTH).length, 0);
  });

  await t.step("while the gateway cannot be asked, the answer and the log say so", async () => {
    await stack.restart();
    const over = supabase.addFault({
      match: HEALTH,
      times: "always",
      do: { kind: "status", status: 503, body: "no healthy upstream" },
    });
    const answer = await provision();
    assertError(answer, 500, "internal_error");
    assert.equal(answer.headers.get("retry-after"), "5");
    const failure = await stack.fn.failure(answer.requestId);
    assert.match(failure.message, /The legacy key could not be verified/);
    assertSuccess(await stack.callAsService({ body: { userId: user.id } }), 200, "running");
    over();
  });
});
