/** States and transitions that the database itself refuses, for any caller. */
import assert from "node:assert/strict";
import { type LocalSupabase, startSupabase } from "../../dev/stack/supabase/mod.ts";
import {
  PROVISIONING_CODES,
  RECONCILE_CODES,
} from "../../supabase/functions/provision-machine/errors.ts";
import { assertProvisioned } from "../support/expectations.ts";
import { type MachineValues, machineValues } from "../support/machine-values.ts";
import { startStack } from "../support/stack.ts";

const NOW = new Date().toISOString();
const RUNNING = {
  status: "running",
  fly_machine_id: "148e127a77de89",
  provisioned_at: NOW,
  reconcile_at: null,
};
const ERROR = {
  status: "error",
  error_code: "internal_error",
  error_message: "It broke",
  reconcile_at: null,
};
const STOPPED = { ...RUNNING, status: "stopped", stop_reason: "requested" };
const DESTROYED = { status: "destroyed", destroy_requested_at: NOW, reconcile_at: null };

/** For each constraint of `cloud_machines`, states that it must refuse. */
const IMPOSSIBLE_MACHINES: Record<string, Partial<MachineValues>[]> = {
  cpu_priority_is_known: [{ cpu_priority: "turbo" }, { cpu_priority: "" }],
  error_code_is_known: [{ ...ERROR, error_code: "oops" }, { ...ERROR, error_code: "not_found" }],
  error_row_says_why: [
    { ...ERROR, error_code: null },
    { ...ERROR, error_message: null },
    { ...RUNNING, error_code: "internal_error" },
    { ...RUNNING, error_message: "It broke" },
    { error_code: "internal_error", error_message: "It broke" },
    { ...DESTROYED, error_code: "internal_error", error_message: "It broke" },
  ],
  idempotency_key_is_visible_ascii: [
    { idempotency_key: "" },
    { idempotency_key: "two words" },
    { idempotency_key: "k".repeat(256) },
    { idempotency_key: "schlüssel" },
  ],
  machine_id_is_a_fly_machine_name: [
    { machine_id: "Machine" },
    { machine_id: "" },
    { machine_id: "machine_1" },
    { machine_id: "-machine" },
    { machine_id: "m".repeat(64) },
  ],
  provisioning_row_is_reconciled: [{ reconcile_at: null }],
  live_row_has_a_machine: [RUNNING, STOPPED].flatMap((live) => [
    { ...live, fly_machine_id: null },
    { ...live, fly_app_name: null },
    { ...live, websocket_url: null },
    { ...live, provisioned_at: null },
  ]),
  live_row_is_reconciled_only_to_destroy: [RUNNING, STOPPED].flatMap((live) => [
    { ...live, reconcile_at: NOW },
    { ...live, destroy_requested_at: NOW },
  ]),
  status_is_known: [{ status: "pending" }],
  stop_reason_is_known: [
    { ...STOPPED, stop_reason: "because" },
    { ...STOPPED, stop_reason: "exit code x" },
  ],
  stopped_row_says_why: [{ ...STOPPED, stop_reason: null }, { ...RUNNING, stop_reason: "idle" }],
  websocket_url_is_a_websocket: [{ websocket_url: "https://example.com" }],
};

const IMPOSSIBLE_EVENTS: Record<string, Record<string, unknown>[]> = {
  detail_is_an_object: [{ detail: [] }, { detail: "text" }],
  duration_is_not_negative: [{ duration_ms: -1 }],
  kind_is_known: [{ kind: "repainted" }],
};

const TRANSITIONS: Record<string, Partial<MachineValues>> = {
  provisioning: { status: "provisioning" },
  running: RUNNING,
  stopped: STOPPED,
  error: ERROR,
  destroyed: DESTROYED,
};
const ALLOWED = [
  "provisioning → running",
  "provisioning → error",
  "provisioning → destroyed",
  "running → stopped",
  "running → error",
  "running → destroyed",
  "stopped → running",
  "stopped → error",
  "stopped → destroyed",
  "error → destroyed",
];

Deno.test("the database", async (t) => {
  const supabase = await startSupabase();
  const insert = (values: MachineValues) => insertRow(supabase, "cloud_machines", values);
  try {
    await t.step("each constraint has its cases", async () => {
      assert.deepEqual(
        await constraintsOf(supabase, "cloud_machines"),
        Object.keys(IMPOSSIBLE_MACHINES).sort(),
      );
      assert.deepEqual(
        await constraintsOf(supabase, "machine_events"),
        Object.keys(IMPOSSIBLE_EVENTS).sort(),
      );
    });

    for (const [constraint, cases] of Object.entries(IMPOSSIBLE_MACHINES)) {
      await t.step(`machines: ${constraint}`, async () => {
        for (const changes of cases) {
          await assert.rejects(insert(machineValues(changes)), { constraint }, json(changes));
        }
      });
    }

    await t.step("valid states are accepted", async () => {
      for (const changes of Object.values(TRANSITIONS)) await insert(machineValues(changes));
      for (const code of [...Object.keys(PROVISIONING_CODES), ...Object.keys(RECONCILE_CODES)]) {
        await insert(machineValues({ ...ERROR, error_code: code }));
      }
    });

    for (const [constraint, cases] of Object.entries(IMPOSSIBLE_EVENTS)) {
      await t.step(`events: ${constraint}`, async () => {
        for (const changes of cases) {
          const event = { request_id: "request", kind: "claimed", ...changes };
          const inserted = insertRow(supabase, "machine_events", event);
          await assert.rejects(inserted, { constraint }, json(changes));
        }
      });
    }

    await t.step("transitions", async (t) => {
      for (const [from, before] of Object.entries(TRANSITIONS)) {
        for (const [to, after] of Object.entries(TRANSITIONS)) {
          if (from === to) continue;
          const name = `${from} → ${to}`;
          await t.step(name, async () => {
            const row = machineValues(before);
            await insert(row);
            const closed = { error_code: null, error_message: null, destroy_requested_at: null };
            const again = { reconcile_at: machineValues().reconcile_at };
            const changed = updateRow(supabase, row.id, { ...closed, ...again, ...after });
            if (ALLOWED.includes(name)) await changed;
            else {
              await assert.rejects(changed, {
                code: "23514",
                message: new RegExp(`${from} cannot become ${to}`),
              });
            }
          });
        }
      }
    });

    await t.step("machine_id is unique", async () => {
      const row = machineValues();
      await insert(row);
      const twin = insert(machineValues({ machine_id: row.machine_id }));
      await assert.rejects(twin, { constraint: "cloud_machines_machine_id_key" });
    });

    await t.step("one row per user and Idempotency-Key", async () => {
      const [one, two] = [await supabase.createUser(), await supabase.createUser()];
      const idempotency_key = "order-42";
      await insert(machineValues({ user_id: one.id, idempotency_key }));
      await insert(machineValues({ user_id: two.id, idempotency_key }));
      await assert.rejects(
        insert(machineValues({ user_id: one.id, idempotency_key })),
        { constraint: "cloud_machines_user_id_idempotency_key" },
      );
    });

    await t.step("history cannot be rewritten, not even by the superuser", async () => {
      const row = machineValues();
      await insert(row);
      const event = { cloud_machine_id: row.id, request_id: "request", kind: "claimed" };
      await insertRow(supabase, "machine_events", event);
      await assert.rejects(
        supabase.sql("update machine_events set kind = 'running'"),
        /append-only/,
      );
    });

    await t.step("deleting a user keeps the row, so that the machine is destroyed", async () => {
      for (const [status, changes] of Object.entries(TRANSITIONS)) {
        const user = await supabase.createUser();
        const row = machineValues({ ...changes, user_id: user.id });
        await insert(row);
        await supabase.sql("delete from auth.users where id = $1", [user.id]);
        const [left] = await supabase.sql<{ status: string; user_id: null; due: boolean }>(
          `select status, user_id, destroy_requested_at is not null and reconcile_at <= now() as due
           from cloud_machines where id = $1`,
          [row.id],
        );
        const live = ["provisioning", "running", "stopped"].includes(status);
        assert.deepEqual([left?.status, left?.user_id], [status, null]);
        assert.equal(left?.due ?? false, live, status);
      }
    });
  } finally {
    await supabase.close();
  }
});

Deno.test("without default grants the migrations grant what the function needs", async () => {
  await using stack = await startStack({ supabase: { exposeNewTables: false } });
  const user = await stack.supabase.createUser();
  const answer = await stack.call(user, { body: {} });
  const { machine_id } = await assertProvisioned(stack, answer);
  const { data } = await user.client.from("cloud_machines").select("machine_id");
  assert.deepEqual(data, [{ machine_id }]);
  assert.equal((await stack.call(user, { method: "DELETE", path: `/${machine_id}` })).status, 200);
  assert.equal((await stack.reconcile()).status, 200);
  const refused = { region: "ams", cpuPriority: "high" };
  stack.simulator.setCapacity("ams", false);
  assert.equal((await stack.call(user, { body: refused })).body.code, "fly_capacity");
});

async function constraintsOf(supabase: LocalSupabase, table: string): Promise<string[]> {
  const rows = await supabase.sql<{ name: string }>(
    `select conname as name from pg_constraint
     where conrelid = $1::regclass and contype = 'c' order by conname`,
    [`public.${table}`],
  );
  return rows.map(({ name }) => name).sort();
}

function insertRow(supabase: LocalSupabase, table: string, values: Record<string, unknown>) {
  return supabase.sql(
    `insert into ${table} (${Object.keys(values).join(", ")})
     select ${Object.keys(values).join(", ")}
     from jsonb_populate_record(null::${table}, $1::jsonb)`,
    [json(values)],
  );
}

function updateRow(supabase: LocalSupabase, id: string, values: Record<string, unknown>) {
  const columns = Object.keys(values).filter((name) => name !== "id");
  return supabase.sql(
    `update cloud_machines m set ${columns.map((name) => `${name} = v.${name}`).join(", ")}
     from jsonb_populate_record(null::cloud_machines, $1::jsonb) v where m.id = $2`,
    [json(values), id],
  );
}

function json(value: unknown): string {
  return JSON.stringify(value);
}
