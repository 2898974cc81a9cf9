/** I1 to I4 when calls, migrations and transitions meet on a real Postgres. */
import assert from "node:assert/strict";
import postgres from "postgres";
import { startPostgres } from "../../dev/stack/postgres/mod.ts";
import { startSupabase } from "../../dev/stack/supabase/mod.ts";
import { violations } from "../invariants/settled-system.ts";
import { answersByStatus } from "./load.ts";
import { eventually, postgresTest } from "./postgres-test.ts";
import { System } from "./system.ts";

const CALLERS = 50;

postgresTest(`${CALLERS} calls at once: by one key, by one user`, async (t) => {
  // Two processes, so that nothing but the database can keep calls apart.
  await using system = await System.start({
    isolates: 2,
    env: { PROVISION_TIMEOUT_SECONDS: "60", MAX_MACHINES_PER_USER: "3" },
  });

  await t.step("one key: one row, one create, one truth", async () => {
    const user = await system.addUser();
    const intent = { kind: "provision", userId: user.id, key: "the-key", body: {} } as const;
    const calls = await Promise.all(
      system.spread(CALLERS, (isolate) => system.call(isolate, user, intent)),
    );

    assert.deepEqual(answersByStatus(calls), { "provision 200": CALLERS });
    const bodies = calls.map(({ answer }) => JSON.parse(answer?.text ?? "{}"));
    const machines = new Set(bodies.map(({ machineId, flyMachineId }) => machineId + flyMachineId));
    assert.equal(machines.size, 1);
    const replayed = calls.filter(({ answer }) =>
      answer?.headers.get("idempotency-replayed") === "true"
    );
    assert.equal(replayed.length, CALLERS - 1);
    const creates = system.simulator.requests().filter(({ action }) => action === "create");
    assert.equal(creates.length, 1);
    const state = await system.state();
    assert.deepEqual([state.rows.length, state.machines.length], [1, 1]);
    assert.deepEqual(violations(state), []);
  });

  await t.step(
    "one user with a limit of 3: three machines, and each refusal names one",
    async () => {
      const user = await system.addUser();
      const calls = await Promise.all(
        system.spread(CALLERS, (isolate, index) =>
          system.call(isolate, user, {
            kind: "provision",
            userId: user.id,
            key: index % 2 === 0 ? null : `key-${index}`,
            body: {},
          })),
      );

      assert.deepEqual(answersByStatus(calls), {
        "provision 200": 3,
        "provision 409": CALLERS - 3,
      });
      const state = await system.state();
      const own = state.rows.filter(({ user_id }) => user_id === user.id)
        .map(({ machine_id }) => machine_id);
      assert.deepEqual([own.length, state.machines.length], [3, 4]);
      for (const { answer } of calls) {
        assert.ok(own.includes(JSON.parse(answer?.text ?? "{}").machineId), answer?.text);
      }
      assert.deepEqual(violations(state), []);
    },
  );
});

const INSERT_ROWS = `
  insert into public.cloud_machines
    (machine_id, fly_app_name, region, cpu_priority, websocket_url, request_hash, request_id,
     deadline_at, reconcile_at)
  select 'machine-' || n, 'test-app', 'iad', 'low', 'wss://test-app.fly.dev', 'hash', 'request',
    now(), now() - n * interval '1 millisecond'
  from generate_series(1, $1::integer) n
  returning id`;

postgresTest("take_due_machines by 4 takers at once: each row goes to one of them", async () => {
  await using server = await startPostgres();
  await (await startSupabase({ databaseUrl: server.url })).close();
  const sql = postgres(server.url, { max: 4, onnotice: () => {} });
  try {
    const inserted = (await sql.unsafe(INSERT_ROWS, [1_000])).map(({ id }) => id);
    const taken: string[][] = await Promise.all(Array.from({ length: 4 }, async () => {
      const own: string[] = [];
      for (;;) {
        const [row] =
          await sql`select take_due_machines(7, 60000, gen_random_uuid()::text) as machines`;
        if (row?.machines.length === 0) return own;
        own.push(...row?.machines.map(({ id }: { id: string }) => id));
      }
    }));
    assert.deepEqual(taken.flat().sort(), inserted.sort());
    // Takers that came one after the other would prove nothing.
    assert.ok(taken.filter((own) => own.length > 0).length > 1, "only one taker got rows");
  } finally {
    await sql.end();
  }
});

postgresTest("a row that two close at once: one wins, the other learns the outcome", async () => {
  await using server = await startPostgres();
  await (await startSupabase({ databaseUrl: server.url })).close();
  const sql = postgres(server.url, { max: 8, onnotice: () => {} });
  try {
    const ids = (await sql.unsafe(INSERT_ROWS, [200])).map(({ id }) => id as string);
    const outcomes = await Promise.all(ids.map(async (id) => {
      const [[running], [error]] = await Promise.all([
        sql`select mark_machine_running(${id}, 'fly-1', 'iad', 'one', 1) as closed`,
        sql`select mark_machine_error(
          ${id}, 'provisioning', 'machine_failed', 'it failed', 'other', 1) as closed`,
      ]);
      return [running?.closed, error?.closed];
    }));
    for (const [running, error] of outcomes) {
      assert.deepEqual([running.outcome, error.outcome].sort(), ["applied", "conflict"]);
      // Both get the row as it is: the loser answers with the winner's outcome.
      assert.equal(running.machine.status, error.machine.status);
      assert.equal(running.machine.status, running.outcome === "applied" ? "running" : "error");
    }
    const events = await sql`select count(*)::integer as n from machine_events`;
    assert.equal(events[0]?.n, ids.length);
  } finally {
    await sql.end();
  }
});

/** The whole schema as text: columns, constraints, indexes, functions, policies, privileges. */
const SCHEMA = `
  select 'column' as kind, table_name || '.' || column_name as name,
    concat_ws(' ', data_type, is_nullable, column_default) as definition
  from information_schema.columns where table_schema = 'public'
  union all
  select 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
  from pg_constraint where connamespace = 'public'::regnamespace
  union all
  select 'index', indexname, indexdef from pg_indexes where schemaname = 'public'
  union all
  select 'function', oid::regprocedure::text, pg_get_functiondef(oid) || coalesce(proacl::text, '')
  from pg_proc where pronamespace = 'public'::regnamespace and prokind = 'f'
  union all
  select 'policy', tablename || '.' || policyname, concat_ws(' ', cmd, roles, qual, with_check)
  from pg_policies where schemaname = 'public'
  union all
  select 'privileges', oid::regclass::text, coalesce(relacl::text, '')
  from pg_class where relnamespace = 'public'::regnamespace
  order by 1, 2, 3`;

postgresTest("the migrations, applied twice and by two at once, are applied once", async () => {
  await using server = await startPostgres();
  const steps: string[] = [];
  const start = () =>
    startSupabase({ databaseUrl: server.url, onProgress: (step) => steps.push(step) });
  const [first, second] = await Promise.all([start(), start()]);
  const directory = Deno.readDir(new URL("../../supabase/migrations", import.meta.url));
  const files = (await Array.fromAsync(directory)).map(({ name }) => `migration ${name}`);
  assert.deepEqual(steps.toSorted(), files.toSorted());
  await first.sql(INSERT_ROWS, [3]);
  const before = await first.sql(SCHEMA);
  assert.ok(before.length > 50, "the schema is there to be compared");
  await Promise.all([first.close(), second.close()]);

  const again = await start();
  assert.deepEqual(steps.toSorted(), files.toSorted());
  assert.deepEqual(await again.sql(SCHEMA), before);
  assert.deepEqual(await again.sql("select count(*)::integer as n from cloud_machines"), [{
    n: 3,
  }]);
  await again.close();
});

const CLAIM = `
  select claim_machine($1::uuid, $2, 'iad', 'low', $2, 'hash', 2, 600000, 1, 3, 600000,
    array['test-app'], 'wss://{app}.fly.dev') ->> 'outcome' as outcome`;

postgresTest("while a user is being deleted, only that user's claims wait", async () => {
  await using server = await startPostgres();
  const supabase = await startSupabase({ databaseUrl: server.url });
  const [leaving, staying] = [await supabase.createUser(), await supabase.createUser()];
  await supabase.close();
  const sql = postgres(server.url, { max: 4, onnotice: () => {} });
  const claim = async (user: { id: string }, name: string) =>
    (await sql.unsafe(CLAIM, [user.id, name]))[0]?.outcome;
  try {
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const { promise: deleted, resolve: onDeleted } = Promise.withResolvers<void>();
    const deletion = sql.begin(async (transaction) => {
      await transaction`delete from auth.users where id = ${leaving.id}`;
      onDeleted();
      await released;
    });
    await deleted;
    const waiting = claim(leaving, "machine-1");
    await eventually("the leaving user's claim waits", async () => {
      const [row] = await sql`
        select count(*)::integer as n from pg_stat_activity where wait_event_type = 'Lock'`;
      return row?.n === 1;
    });
    assert.equal(await claim(staying, "machine-2"), "claimed");
    release();
    await deletion;
    assert.equal(await waiting, "unknown_user");
  } finally {
    await sql.end();
  }
});
