/** Users whom the project has banned or softly deleted, and whose tokens have not expired yet. */
import assert from "node:assert/strict";
import { generateSigningKey, mintUserToken } from "../../dev/stack/supabase/mod.ts";
import { assertError, assertProvisioned, assertSuccess } from "../support/expectations.ts";
import { type Stack, startStack } from "../support/stack.ts";

Deno.test("banned and deleted users", async (t) => {
  const key = await generateSigningKey();
  await using stack = await startStack({
    supabase: { signingKeys: [key.publicJwk] },
    env: { MAX_MACHINES_PER_USER: "10" },
  });
  const { supabase, simulator } = stack;
  const created = await supabase.createUser();
  // A token that nobody but the project's published keys has to verify.
  const user = { ...created, accessToken: await mintUserToken({ userId: created.id, key }) };
  const headers = { "idempotency-key": "before-the-ban" };
  const row = await assertProvisioned(stack, await stack.call(user, { body: {}, headers }));
  const path = `/${row.machine_id}`;
  const change = async (name: string) =>
    await stack.call(user, { method: "POST", path: `${path}/${name}` });
  const states = {
    banned: ["banned_until", "now() + interval '1 hour'", 403, "forbidden"],
    "banned for good": ["banned_until", "'infinity'", 403, "forbidden"],
    "softly deleted": ["deleted_at", "now()", 401, "unauthorized"],
  } as const;

  for (const [state, [column, value, status, code]] of Object.entries(states)) {
    await t.step(`${state}: no row, no machine, no replay`, async () => {
      await supabase.sql(`update auth.users set ${column} = ${value} where id = $1`, [user.id]);
      const before = callsOf(stack);
      assertError(await stack.call(user, { body: {} }), status, code);
      assertError(await stack.call(user, { body: {}, headers }), status, code);
      const calls = supabase.requests({ service: "rest" }).map(({ rpc }) => rpc).slice(before.rest)
        // Of the isolate, for all that it has refused.
        .filter((rpc) => rpc !== "count_refused");
      assert.deepEqual(calls, ["claim_machine", "claim_machine"], "one call each");
      assert.equal(simulator.requests().length, before.fly);
      assert.equal((await stack.rowsOf(user)).length, 1);
      const asService = await stack.callAsService({ body: { userId: user.id } });
      assertError(asService, 400, "invalid_request", ["issues"]);
      assert.equal(asService.body.issues[0]?.path, "userId");
      await supabase.sql(`update auth.users set ${column} = null where id = $1`, [user.id]);
    });
  }

  await t.step("a ban that is over, and one of another user, change nothing", async () => {
    const other = await supabase.createUser();
    await supabase.sql("update auth.users set banned_until = 'infinity' where id = $1", [other.id]);
    await supabase.sql(
      "update auth.users set banned_until = now() - interval '1 second' where id = $1",
      [user.id],
    );
    assertSuccess(await stack.call(user, { body: {}, headers }), 200, "running");
    assert.equal((await change("connect")).status, 200);
  });

  await t.step("who is banned neither connects nor starts, but stops and destroys", async () => {
    await supabase.sql("update auth.users set banned_until = 'infinity' where id = $1", [user.id]);
    assertError(await change("connect"), 403, "forbidden");
    assertSuccess(await change("stop"), 200, "stopped");
    assertError(await change("start"), 403, "forbidden");
    assert.equal((await stack.row(row.machine_id)).status, "stopped");
    const startAsService = { method: "POST", path: `${path}/start` };
    assertSuccess(await stack.callAsService(startAsService), 200, "running");
    assert.equal((await stack.call(user, { method: "DELETE", path })).status, 200);
    assertError(await change("connect"), 403, "forbidden");
    // As for anybody, another user's machine does not exist.
    const stranger = await stack.call(user, { method: "POST", path: "/machine-x/connect" });
    assertError(stranger, 404, "not_found");
  });

  await t.step("Supabase Auth itself says that a user is banned", async () => {
    supabase.addFault({
      match: { service: "auth", path: "/auth/v1/user" },
      do: {
        kind: "status",
        status: 403,
        body: { code: 403, error_code: "user_banned", msg: "User is banned" },
      },
    });
    assertError(await stack.call(created, { body: {} }), 403, "forbidden");
  });
});

function callsOf({ supabase, simulator }: Stack): { rest: number; fly: number } {
  return {
    rest: supabase.requests({ service: "rest" }).length,
    fly: simulator.requests().length,
  };
}
