/** rename_machine: once, only while nothing can exist under the old name, and safe to repeat. */
import assert from "node:assert/strict";
import { startSupabase } from "../../dev/stack/supabase/mod.ts";

interface Row {
  id: string;
  machine_id: string;
  former_machine_ids: string[];
  fly_app_name: string;
  websocket_url: string | null;
  status: string;
}

const TEMPLATE = "wss://{app}.fly.dev/{machineId}";

Deno.test("rename_machine", async (t) => {
  const supabase = await startSupabase();
  await using _closing = { [Symbol.asyncDispose]: () => supabase.close() };
  const service = supabase.serviceClient();
  const [{ tag } = { tag: "" }] = await supabase.sql<{ tag: string }>(
    "select tag from installation",
  );
  const rpc = async (name: string, args: Record<string, unknown>) => {
    const { data, error } = await service.rpc(name, args);
    assert.equal(error, null, error?.message);
    return data as { outcome: string; machine: Row; pooled?: boolean };
  };
  const claimArguments = async (random: string) => ({
    p_user_id: (await supabase.createUser()).id,
    p_machine_id: random,
    p_name_prefix: "pm",
    p_region: "iad",
    p_cpu_priority: "low",
    p_request_id: `request-${random}`,
    p_request_hash: "",
    p_machine_limit: 10,
    p_timeout_ms: 60_000,
    p_rate_per_second: 1_000,
    p_burst: 1_000,
    p_wait_at_most_ms: 1_000,
    p_fly_app_names: ["org:personal"],
    p_own_app: true,
    p_websocket_url_template: TEMPLATE,
  });
  const claim = async (random: string) =>
    (await rpc("claim_machine", await claimArguments(random))).machine;
  const rename = ({ id, machine_id }: Row, random: string, template = TEMPLATE) =>
    rpc("rename_machine", {
      p_id: id,
      p_taken_name: machine_id,
      p_name_prefix: "pm",
      p_random: random,
      p_websocket_url_template: template,
      p_request_id: "request",
      p_duration_ms: 1,
    });
  const renames = async ({ id }: Row) =>
    (await supabase.sql(
      "select 1 from machine_events where cloud_machine_id = $1 and kind = 'renamed'",
      [id],
    )).length;

  await t.step("name, app and address change together, once", async () => {
    const row = await claim("aaaa");
    const name = `pm-${tag}-bbbb`;
    for (const _ of [1, 2]) {
      const { outcome, machine } = await rename(row, "bbbb");
      assert.equal(outcome, "applied");
      assert.deepEqual(
        [machine.machine_id, machine.fly_app_name, machine.former_machine_ids],
        [name, name, [row.machine_id]],
      );
      assert.equal(machine.websocket_url, `wss://${name}.fly.dev/${name}`);
    }
    assert.equal(await renames(row), 1);
    const stale = await rename(row, "cccc");
    assert.deepEqual([stale.outcome, stale.machine.machine_id], ["conflict", name]);
    const third = await rename(stale.machine, "dddd");
    assert.deepEqual(third.machine.former_machine_ids, [row.machine_id, name]);
  });

  const closed: Record<string, string> = {
    "is to be destroyed": "destroy_requested_at = now()",
    "has a machine": "fly_machine_id = 'fly-1'",
    "has failed":
      "status = 'error', error_code = 'interrupted', error_message = '', reconcile_at = null",
    "is destroyed": "status = 'destroyed', reconcile_at = null",
    "shares its app": "fly_app_name = 'shared'",
  };
  for (const [what, change] of Object.entries(closed)) {
    await t.step(`a row that ${what} keeps its name`, async () => {
      const row = await claim(`closed${Object.keys(closed).indexOf(what)}`);
      await supabase.sql(`update cloud_machines set ${change} where id = $1`, [row.id]);
      const { outcome, machine } = await rename(row, `n${row.machine_id.slice(-3)}`);
      assert.deepEqual([outcome, machine.machine_id], ["conflict", row.machine_id]);
      assert.equal(await renames(row), 0);
    });
  }

  await t.step("another row's name is refused", async () => {
    const [one, other] = [await claim("one"), await claim("other")];
    const { error } = await service.rpc("rename_machine", {
      p_id: one.id,
      p_taken_name: one.machine_id,
      p_name_prefix: "pm",
      p_random: "other",
      p_websocket_url_template: "wss://{app}",
      p_request_id: "request",
      p_duration_ms: 1,
    });
    assert.equal(error?.code, "23505");
    assert.notEqual(one.machine_id, other.machine_id);
  });

  await t.step("a claim that arrives once more after the rename writes no second row", async () => {
    const args = await claimArguments("late");
    const { machine } = await rpc("claim_machine", args);
    await rename(machine, "later");
    const again = await rpc("claim_machine", args);
    assert.deepEqual(
      [again.outcome, again.machine.id, again.pooled],
      ["claimed", machine.id, false],
    );
    const rows = await supabase.sql("select 1 from cloud_machines where user_id = $1", [
      args.p_user_id,
    ]);
    assert.equal(rows.length, 1);
  });

  await t.step("an address with Fly.io's id in it is made again", async () => {
    const template = "wss://{app}.fly.dev/{flyMachineId}";
    const args = { ...await claimArguments("fly"), p_websocket_url_template: template };
    const { machine } = await rpc("claim_machine", args);
    assert.equal(machine.websocket_url, null);
    await rename(machine, "other-fly", template);
    const recorded = await rpc("record_fly_machine", {
      p_id: machine.id,
      p_fly_machine_id: "fly-2",
      p_region: "iad",
      p_request_id: "request",
      p_duration_ms: 1,
    });
    assert.equal(recorded.machine.websocket_url, `wss://pm-${tag}-other-fly.fly.dev/fly-2`);
  });

  await t.step("no row: not_found", async () => {
    const none = { id: crypto.randomUUID(), machine_id: "x" } as Row;
    assert.equal((await rename(none, "none")).outcome, "not_found");
  });

  await t.step("only services may", async () => {
    const { client } = await supabase.createUser();
    const { error } = await client.rpc("rename_machine", {});
    assert.ok(error);
  });
});
