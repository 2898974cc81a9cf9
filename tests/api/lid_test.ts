/** The lid on the bill: ceilings, rates, lifetimes, the pause, and the ledger. */
import assert from "node:assert/strict";
import { mintUserToken } from "../../dev/stack/supabase/mod.ts";
import { assertError, assertProvisioned, assertSuccess } from "../support/expectations.ts";
import { assertRun } from "../support/reconcile-run.ts";
import { startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";
import { Webhook } from "../support/webhook.ts";

Deno.test("a lid on the bill", async (t) => {
  await using webhook = Webhook.start();
  await using stack = await startStack({ env: { ALERT_WEBHOOK_URL: webhook.url } });
  const { supabase, simulator } = stack;

  await t.step("MAX_MACHINES holds under any concurrency, over all users", async () => {
    const [one, two] = [
      await stack.start({ MAX_MACHINES: "5" }),
      await stack.start({ MAX_MACHINES: "5" }),
    ];
    const users = await Promise.all(Array.from({ length: 20 }, () => supabase.createUser()));
    const answers = await Promise.all(
      users.map((user, n) => (n % 2 === 0 ? one : two).call(user, { body: {} })),
    );
    const statuses = answers.map(({ status }) => status);
    assert.deepEqual(statuses.filter((status) => status === 200).length, 5, statuses.join());
    assert.deepEqual(statuses.filter((status) => status === 503).length, 15, statuses.join());
    assert.equal(simulator.liveMachines().length, 5);
    const refused = answers.find(({ status }) => status === 503);
    assert.ok(refused);
    assert.equal((await supabase.sql("select 1 from cloud_machines")).length, 5);
    // A stopped machine counts, a destroyed one does not.
    const [first] = answers.filter(({ status }) => status === 200);
    const machineId = String(first?.body.machineId);
    const asService = { headers: { apikey: supabase.secretKey } };
    await one.call(null, { method: "POST", path: `/${machineId}/stop`, ...asService });
    const [user] = users;
    assert.ok(user);
    assertError(await one.call(await supabase.createUser(), { body: {} }), 503, "fleet_full");
    await one.call(null, { method: "DELETE", path: `/${machineId}`, ...asService });
    assertSuccess(await one.call(await supabase.createUser(), { body: {} }), 200, "running");
    await Promise.all([one.stop(), two.stop()]);
  });

  await t.step("at 80 % and when it is full: one alert each, and one when it is over", async () => {
    await until("both alerts are sent", () => webhook.texts.length === 2);
    assert.deepEqual([...webhook.texts].sort().map((text) => text.split("\n")[0]), [
      "❌ provision-machine: 5 of 5 machines are in use",
      "❌ provision-machine: 5 of 5 machines are in use",
    ]);
    assert.equal((await stack.reconcile()).body.alertsSent, 2);
    assert.match(webhook.texts.at(-1) ?? "", /^✅ provision-machine: fewer machines are in use/);
  });

  await t.step("the rate counts rows, failed ones too, and no replay", async () => {
    await using fn = await stack.start({ MAX_PROVISIONS_PER_USER_PER_HOUR: "2" });
    const user = await supabase.createUser();
    const headers = { "idempotency-key": "first" };
    assertSuccess(await fn.call(user, { body: {}, headers }), 200, "running");
    for (let n = 0; n < 3; n++) {
      assertSuccess(await fn.call(user, { body: {}, headers }), 200, "running");
    }
    assertError(await fn.call(user, { body: {} }), 409, "machine_limit_reached", [
      "websocketUrl",
      "status",
    ]);
    const [row] = await stack.rowsOf(user);
    await fn.call(user, { method: "DELETE", path: `/${row?.machine_id}` });
    simulator.addFault({
      match: { action: "create" },
      do: { kind: "status", status: 422, body: { error: "invalid image" } },
    });
    assertError(await fn.call(user, { body: {} }), 500, "fly_rejected");
    assertError(await fn.call(user, { body: {} }), 429, "too_many_requests");
    assert.equal((await stack.rowsOf(user)).length, 2);
    // An hour later.
    await supabase.sql("update cloud_machines set created_at = created_at - interval '1 hour'");
    assertSuccess(await fn.call(user, { body: {} }), 200, "running");
  });

  await t.step("machine_limit may be replaced, and goes before the setting", async () => {
    const [rich, none] = [await supabase.createUser(), await supabase.createUser()];
    await supabase.sql(
      `create or replace function public.machine_limit(p_user_id uuid) returns integer
       language sql stable as $$ select case p_user_id when '${rich.id}'::uuid then 3 when '${none.id}'::uuid then 0 end $$`,
    );
    const statuses: number[] = [];
    for (let n = 0; n < 4; n++) statuses.push((await stack.call(rich, { body: {} })).status);
    assert.deepEqual(statuses, [200, 200, 200, 409]);
    const refused = await stack.call(none, { body: {} });
    assertError(refused, 409, "machine_limit_reached", ["websocketUrl", "status"]);
    assert.deepEqual([refused.body.machineId, refused.body.status], [null, null]);
    await supabase.sql(
      `create or replace function public.machine_limit(p_user_id uuid) returns integer
       language sql stable as $$ select null::integer $$`,
    );
  });

  await t.step("the pause stops new machines and nothing else", async () => {
    const user = await supabase.createUser();
    const headers = { "idempotency-key": "before the pause".replaceAll(" ", "-") };
    const row = await assertProvisioned(stack, await stack.call(user, { body: {}, headers }));
    await using fn = await stack.start({ PROVISIONING_PAUSED: "We move house until Monday." });
    const refused = await fn.call(await supabase.createUser(), { body: {} });
    assertError(refused, 503, "provisioning_paused");
    assert.equal(refused.body.message, "We move house until Monday.");
    assertSuccess(await fn.call(user, { body: {}, headers }), 200, "running");
    const path = `/${row.machine_id}`;
    assertSuccess(await fn.call(user, { method: "POST", path: `${path}/stop` }), 200, "stopped");
    assert.equal((await fn.call(user, { method: "DELETE", path })).status, 200);
  });

  await t.step("anonymous users get none, unless they are allowed to", async () => {
    const user = await supabase.createUser();
    const accessToken = await mintUserToken({
      userId: user.id,
      key: supabase.jwtSecret,
      claims: { is_anonymous: true },
    });
    const anonymous = { ...user, accessToken };
    assertError(await stack.call(anonymous, { body: {} }), 403, "forbidden");
    assert.deepEqual(await stack.rowsOf(user), []);
    await using fn = await stack.start({ ALLOW_ANONYMOUS_USERS: "true" });
    assertSuccess(await fn.call(anonymous, { body: {} }), 200, "running");
  });

  await t.step("a machine is destroyed at the end of its lifetime", async () => {
    const user = await supabase.createUser();
    const old = await assertProvisioned(stack, await stack.call(user, { body: {} }));
    const other = await supabase.createUser();
    const young = await assertProvisioned(stack, await stack.call(other, { body: {} }));
    await supabase.sql(
      "update cloud_machines set created_at = now() - interval '25 hours' where machine_id = $1",
      [old.machine_id],
    );
    const [{ n: others } = { n: 0 }] = await supabase.sql<{ n: number }>(
      "select count(*)::integer as n from cloud_machines where status = 'running' and created_at < now() - interval '24 hours' and machine_id <> $1",
      [old.machine_id],
    );
    assert.equal(others, 0);
    await assertRun(stack, {});
    await using fn = await stack.start({ MACHINE_MAX_LIFETIME_HOURS: "24" });
    const run = await fn.call(null, {
      path: "/reconcile",
      headers: { apikey: supabase.secretKey },
    });
    assert.deepEqual([run.body.expired, run.body.destroyed], [1, 1], JSON.stringify(run.body));
    assert.equal((await stack.row(old.machine_id)).status, "destroyed");
    assert.equal((await stack.row(young.machine_id)).status, "running");
    const kinds = (await stack.historyOf(old.machine_id)).map(({ kind }) => kind);
    assert.deepEqual(kinds.slice(-2), ["expired", "destroyed"]);
  });
});

Deno.test("the ledger says what ran when, and owners see their own", async () => {
  await using stack = await startStack();
  const { supabase } = stack;
  const [user, other] = [await supabase.createUser(), await supabase.createUser()];
  const row = await assertProvisioned(stack, await stack.call(user, { body: {} }));
  await assertProvisioned(stack, await stack.call(other, { body: {} }));
  await stack.call(user, { method: "DELETE", path: `/${row.machine_id}` });
  // A life over three days, with a crash, a start and an end that are each one event.
  await supabase.sql("alter table machine_events disable trigger machine_events_are_append_only");
  await supabase.sql("delete from machine_events where cloud_machine_id = $1", [row.id]);
  await supabase.sql(
    `insert into machine_events (cloud_machine_id, request_id, kind, error_code, created_at, detail)
     select $1, 'r', kind, code, at::timestamptz,
       -- Reconcile noticed the crash two minutes after it.
       case when kind = 'crashed' then '{"happenedAt": "2026-03-02T03:30:00.000Z"}' else '{}' end::jsonb
     from (values
       ('claimed', null, '2026-03-01 22:00:00Z'),
       ('running', null, '2026-03-01 23:00:00Z'),
       ('stop_requested', null, '2026-03-02 01:00:00Z'),
       ('stopped', null, '2026-03-02 02:00:00Z'),
       ('started', null, '2026-03-02 03:00:00Z'),
       ('crashed', 'machine_stopped', '2026-03-02 03:32:00Z'),
       ('destroy_requested', null, '2026-03-03 00:10:00Z'),
       ('destroyed', null, '2026-03-03 00:20:00Z')
     ) as life (kind, code, at)`,
    [row.id],
  );
  await supabase.sql("alter table machine_events enable trigger machine_events_are_append_only");
  const { data, error } = await user.client.from("machine_usage").select("*").order("day");
  assert.equal(error, null);
  const hour = 3_600;
  assert.deepEqual(
    data?.map(({ day, running_seconds, stopped_seconds }) => [
      day,
      Number(running_seconds ?? 0),
      Number(stopped_seconds ?? 0),
    ]),
    [
      ["2026-03-01", hour, 0],
      ["2026-03-02", 2.5 * hour, hour + 20.5 * hour],
      ["2026-03-03", 0, hour / 3],
    ],
  );
  assert.ok(
    data?.every(({ machine_id, user_id }) => machine_id === row.machine_id && user_id === user.id),
  );
  // An interval is open while the machine is there, and only then.
  const open = await other.client.from("machine_usage").select("running_seconds");
  assert.equal(open.data?.length, 1);
  assert.ok(Number(open.data?.[0]?.running_seconds) > 0);
});
