/** What each kind of caller can read and change through the Data API. */
import assert from "node:assert/strict";
import type { SupabaseClient } from "@supabase/supabase-js";
import { type LocalSupabase, type LocalUser, startSupabase } from "../../dev/stack/supabase/mod.ts";
import { type MachineValues, machineValues } from "../support/machine-values.ts";

/** `insufficient_privilege`: no right to the table or function at all. */
const DENIED = "42501";

Deno.test("row level security", async (t) => {
  const supabase = await startSupabase();
  try {
    const owner = await supabase.createUser();
    const stranger = await supabase.createUser();
    const service = supabase.serviceClient();
    const anon = supabase.anonClient();
    const values = machineValues({ user_id: owner.id });
    await write(service, values);

    await t.step("an owner reads own machines and their events", async () => {
      const machines = await owner.client.from("cloud_machines").select("machine_id, user_id");
      assert.deepEqual(machines.data, [{ machine_id: values.machine_id, user_id: owner.id }]);
      const events = await owner.client.from("machine_events").select("kind, cloud_machine_id");
      assert.deepEqual(events.data, [{ kind: "claimed", cloud_machine_id: values.id }]);
    });

    await t.step("another user sees neither", async () => {
      for (const table of ["cloud_machines", "machine_events"]) {
        const { data, error } = await stranger.client.from(table).select();
        assert.deepEqual([data, error], [[], null], table);
      }
      const asked = await stranger.client.from("cloud_machines").select().eq("id", values.id);
      assert.deepEqual(asked.data, []);
    });

    await t.step("anon reads nothing", async () => {
      for (const table of await tables(supabase)) {
        const { data, error } = await anon.from(table).select();
        assert.deepEqual([data, error?.code], [null, DENIED], table);
      }
    });

    await t.step("users read no other table", async () => {
      for (const table of await tables(supabase)) {
        if (["cloud_machines", "machine_events"].includes(table)) continue;
        const { data, error } = await owner.client.from(table).select();
        assert.deepEqual([data, error?.code], [null, DENIED], table);
      }
    });

    for (const [name, client] of [["an owner", owner.client], ["anon", anon]] as const) {
      await t.step(`${name} writes nothing`, () => assertWritesNothing(client, owner, values));
    }

    await t.step("only a service can call functions", async (t) => {
      for (const [name, client] of [["a user", owner.client], ["anon", anon]] as const) {
        await t.step(name, () => assertCallsNothing(client, owner, values));
      }
      const callable = await supabase.sql(
        `select proname, role from pg_proc, unnest(array['anon', 'authenticated']) role
         where pronamespace = 'public'::regnamespace and has_function_privilege(role, oid, 'execute')`,
      );
      assert.deepEqual(callable, []);
    });

    await t.step("none of these calls changed anything", async () => {
      const rows = await supabase.sql<{ status: string }>("select status from cloud_machines");
      assert.deepEqual(rows.map(({ status }) => status), ["running"]);
      assert.equal((await supabase.sql("select 1 from machine_events")).length, 1);
    });

    await t.step(
      "a service reads and writes, but cannot rewrite history or delete",
      () => assertServiceRights(service, values),
    );

    await t.step("row level security is on everywhere", async () => {
      const open = await supabase.sql(
        `select relname from pg_class
         where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relrowsecurity`,
      );
      assert.deepEqual(open, []);
      const views = await supabase.sql(
        `select relname from pg_class
         where relnamespace = 'public'::regnamespace and relkind in ('v', 'm')
           -- A view with its caller's rights shows what the tables below it show.
           and not coalesce(reloptions @> array['security_invoker=true'], false)`,
      );
      assert.deepEqual(views, []);
    });

    await t.step("callers cannot call functions that run with their owner's rights", async () => {
      const powerful = await supabase.sql<{ name: string }>(
        `select proname as name from pg_proc, unnest(array['anon', 'authenticated']) role
         where pronamespace = 'public'::regnamespace and prosecdef
           and has_function_privilege(role, oid, 'execute')`,
      );
      assert.deepEqual(powerful, []);
    });

    await t.step("the owner receives changes over Realtime", async () => {
      const published = await supabase.sql<{ tablename: string }>(
        `select tablename from pg_publication_tables
         where pubname = 'supabase_realtime' order by tablename`,
      );
      assert.deepEqual(published.map(({ tablename }) => tablename), [
        "cloud_machines",
        "machine_events",
      ]);
    });
  } finally {
    await supabase.close();
  }
});

async function write(service: SupabaseClient, values: MachineValues): Promise<void> {
  const machine = await service.from("cloud_machines").insert({
    ...values,
    status: "running",
    fly_machine_id: "148e127a77de89",
    provisioned_at: new Date().toISOString(),
    reconcile_at: null,
  });
  assert.equal(machine.error, null);
  const event = await service.from("machine_events").insert({
    cloud_machine_id: values.id,
    request_id: values.request_id,
    kind: "claimed",
  });
  assert.equal(event.error, null);
}

async function tables(supabase: LocalSupabase): Promise<string[]> {
  const rows = await supabase.sql<{ name: string }>(
    `select relname as name from pg_class
     where relnamespace = 'public'::regnamespace and relkind = 'r' order by relname`,
  );
  assert.ok(rows.length >= 3);
  return rows.map(({ name }) => name);
}

async function assertWritesNothing(
  client: SupabaseClient,
  owner: LocalUser,
  values: MachineValues,
): Promise<void> {
  const machines = client.from("cloud_machines");
  const events = client.from("machine_events");
  const event = { cloud_machine_id: values.id, request_id: "forged", kind: "running" };
  const refused = {
    "insert a machine": await machines.insert(machineValues({ user_id: owner.id })),
    "change a machine": await machines.update({ websocket_url: "wss://example.net" })
      .eq("id", values.id),
    "take a machine over": await machines.update({ user_id: owner.id }).eq("id", values.id),
    "upsert a machine": await machines.upsert(values),
    "delete a machine": await machines.delete().eq("id", values.id),
    "insert an event": await events.insert(event),
    "change an event": await events.update({ kind: "failed" }).eq("cloud_machine_id", values.id),
    "delete an event": await events.delete().eq("cloud_machine_id", values.id),
  };
  for (const [what, { error }] of Object.entries(refused)) {
    assert.equal(error?.code, DENIED, what);
  }
}

async function assertCallsNothing(
  client: SupabaseClient,
  owner: LocalUser,
  values: MachineValues,
): Promise<void> {
  const origin = { p_request_id: "forged", p_duration_ms: 0 };
  const refused = {
    claim_machine: {
      p_user_id: owner.id,
      p_machine_id: "machine-forged",
      p_region: "iad",
      p_cpu_priority: "high",
      p_request_id: "forged",
      p_request_hash: "forged",
      p_machine_limit: 100,
      p_timeout_ms: 1_000,
      p_rate_per_second: 1,
      p_burst: 3,
      p_wait_at_most_ms: 0,
      p_fly_app_names: ["test-app"],
      p_websocket_url_template: "wss://example.net/{machineId}",
      p_idempotency_key: "forged",
      p_error_code: "internal_error",
      p_error_message: "forged",
    },
    request_machine_destroy: {
      p_machine_id: values.machine_id,
      p_request_id: "forged",
      p_lease_ms: 0,
      p_user_id: owner.id,
    },
    mark_machine_error: {
      p_id: values.id,
      p_expected_status: "running",
      p_error_code: "internal_error",
      p_error_message: "forged",
      p_fly_machine_id: null,
      p_cleanup_in_ms: null,
      p_detail: {},
      ...origin,
    },
    mark_machine_destroyed: { p_id: values.id, p_look_again: false, p_detail: {}, ...origin },
    take_due_machines: { p_limit: 10, p_lease_ms: 1_000, p_call: "a-call" },
    hand_over_to_reconcile: { p_ids: [values.id], p_reason: "forged", p_after_ms: 0 },
    read_metrics: {},
    read_health: {},
    schema_version: {},
  };
  for (const [name, args] of Object.entries(refused)) {
    const { data, error } = await client.rpc(name, args);
    assert.deepEqual([data, error?.code], [null, DENIED], `${name}: ${error?.message}`);
  }
}

async function assertServiceRights(
  service: SupabaseClient,
  values: MachineValues,
): Promise<void> {
  const read = await service.from("cloud_machines").select("status").eq("id", values.id);
  assert.deepEqual(read.data, [{ status: "running" }]);
  const written = await service.from("cloud_machines").update({ region: "fra" })
    .eq("id", values.id).select("region");
  assert.deepEqual(written.data, [{ region: "fra" }]);
  const refused = {
    "delete a machine": await service.from("cloud_machines").delete().eq("id", values.id),
    "change an event": await service.from("machine_events").update({ kind: "failed" })
      .eq("cloud_machine_id", values.id),
    "delete an event": await service.from("machine_events").delete()
      .eq("cloud_machine_id", values.id),
  };
  for (const [what, { error }] of Object.entries(refused)) {
    assert.equal(error?.code, DENIED, what);
  }
}
