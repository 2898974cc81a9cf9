/** The slots in Postgres that keep all isolates together within Fly.io's limit of creates. */
import assert from "node:assert/strict";
import { startSupabase } from "../../dev/stack/supabase/mod.ts";

interface Claim {
  outcome: string;
  wait_ms: number;
  machine: {
    id: string;
    machine_id: string;
    status: string;
    error_code: string | null;
    fly_app_name: string;
  };
}

/** A wait is counted from its claim, and claims take time; so slots are ten seconds apart. */
const SLOT_MS = 10_000;
const slotOf = (waitMs: number) => Math.round(waitMs / SLOT_MS);

Deno.test("creates are paced in Postgres", async (t) => {
  const supabase = await startSupabase();
  const service = supabase.serviceClient();
  const newUser = async () => {
    const [user] = await supabase.sql<{ id: string }>(
      "insert into auth.users (id, email) values (gen_random_uuid(), gen_random_uuid() || '@example.com') returning id",
    );
    assert(user);
    return user.id;
  };
  const claim = async (
    userId: string,
    options: { apps?: string[]; rate?: number; burst?: number; waitAtMostMs?: number } = {},
  ) => {
    const { data, error } = await service.rpc("claim_machine", {
      p_user_id: userId,
      p_machine_id: `machine-${crypto.randomUUID().slice(0, 12)}`,
      p_region: "iad",
      p_cpu_priority: "normal",
      p_request_id: crypto.randomUUID(),
      p_request_hash: "hash",
      p_machine_limit: 100,
      p_timeout_ms: 1_200_000,
      p_rate_per_second: options.rate ?? 0.1,
      p_burst: options.burst ?? 3,
      p_wait_at_most_ms: options.waitAtMostMs ?? 900_000,
      p_fly_app_names: options.apps ?? ["app"],
      p_websocket_url_template: "wss://{app}.fly.dev/machines/{machineId}",
    });
    assert.equal(error, null);
    return data as Claim;
  };
  const rpc = async (name: string, args: Record<string, unknown>) => {
    const { data, error } = await service.rpc(name, args);
    assert.equal(error, null);
    return data as { outcome: string; wait_ms: number };
  };
  const empty = () =>
    supabase.sql("truncate public.fly_create_slots, public.fly_create_buckets cascade");
  const queue = async () =>
    (await supabase.sql<{ user_id: string | null }>(
      "select user_id from public.fly_create_slots order by slot_at",
    )).map((row) => row.user_id);

  try {
    await t.step("a burst goes at once, then one slot after the other", async () => {
      const claims = [];
      for (let i = 0; i < 8; i++) claims.push(await claim(await newUser()));
      assert.deepEqual(claims.map((c) => slotOf(c.wait_ms)), [0, 0, 0, 1, 2, 3, 4, 5]);
      const [first] = claims;
      assert.equal(first?.wait_ms, 0, "the wait of a create that need not wait is exactly 0");
    });

    await t.step("the rate and the burst are settings", async () => {
      await empty();
      const waits = [];
      for (let i = 0; i < 4; i++) {
        waits.push((await claim(await newUser(), { rate: 0.01, burst: 1 })).wait_ms);
      }
      assert.deepEqual(waits.map((ms) => Math.round(ms / 100_000)), [0, 1, 2, 3]);
    });

    await t.step("no slot before the deadline: refused at once, and no slot is lost", async () => {
      await empty();
      const tight = { burst: 1, waitAtMostMs: 15_000 };
      const claims = [];
      for (let i = 0; i < 6; i++) claims.push(await claim(await newUser(), tight));
      assert.deepEqual(claims.map((c) => c.outcome), [
        "claimed",
        "claimed",
        ...Array(4).fill("no_slot"),
      ]);
      for (const { machine, wait_ms } of claims.slice(2)) {
        assert.equal(machine.status, "error");
        assert.equal(machine.error_code, "fly_rate_limited");
        assert.equal(slotOf(wait_ms), 2, "each was offered the same next slot");
      }
      const patient = await claim(await newUser(), { burst: 1 });
      assert.equal(slotOf(patient.wait_ms), 2);
    });

    await t.step("users take turns: one user's burst does not starve another's", async () => {
      await empty();
      const [greedy, modest] = [await newUser(), await newUser()];
      const many = [];
      for (let i = 0; i < 13; i++) many.push(await claim(greedy));
      const one = await claim(modest);
      assert.equal(
        slotOf(one.wait_ms),
        2,
        "after the greedy user's first waiting create, before the second",
      );
      const two = await claim(modest);
      assert.equal(slotOf(two.wait_ms), 4);
      assert.deepEqual((await queue()).slice(0, 5), [greedy, modest, greedy, modest, greedy]);
      const last = many.at(-1);
      assert(last);
      const moved = await rpc("take_create_slot", { p_id: last.machine.id });
      assert.equal(moved.outcome, "wait");
      assert.equal(slotOf(moved.wait_ms), 12, "the greedy user's last moved back by the two");
      const slots = await supabase.sql<{ gap: number }>(
        "select extract(epoch from slot_at - lag(slot_at) over (order by slot_at))::float8 as gap from public.fly_create_slots",
      );
      for (const { gap } of slots.slice(1)) {
        assert(Math.abs(gap - 10) < 0.2, `slots are ten seconds apart, not ${gap}`);
      }
    });

    await t.step("a row that is closed gives its slot back to the next", async () => {
      await empty();
      const claims = [];
      for (let i = 0; i < 6; i++) claims.push(await claim(await newUser()));
      const [, , , , second] = claims;
      assert(second);
      await rpc("mark_machine_error", {
        p_id: second.machine.id,
        p_expected_status: "provisioning",
        p_error_code: "internal_error",
        p_error_message: "gave up",
        p_request_id: "test",
        p_duration_ms: 1,
      });
      assert.equal((await rpc("take_create_slot", { p_id: second.machine.id })).outcome, "closed");
      const next = await claim(await newUser());
      assert(
        Math.abs(next.wait_ms - second.wait_ms) < SLOT_MS / 2,
        `${next.wait_ms}, ${second.wait_ms}`,
      );
      const after = await claim(await newUser());
      assert.equal(slotOf(after.wait_ms), 4, "the queue continues behind the last");
    });

    await t.step("a 429 from Fly.io moves everyone's slots", async () => {
      await empty();
      const claims = [];
      for (let i = 0; i < 6; i++) claims.push(await claim(await newUser()));
      const [refused, , , waiting] = claims;
      assert(refused && waiting);
      const delayed = await rpc("delay_creates", {
        p_id: refused.machine.id,
        p_retry_after_ms: 50_000,
        p_rate_per_second: 0.1,
        p_burst: 3,
      });
      assert.equal(slotOf(delayed.wait_ms), 5);
      const moved = await rpc("take_create_slot", { p_id: waiting.machine.id });
      assert.equal(slotOf(moved.wait_ms), 6);
      const next = await claim(await newUser());
      assert.equal(slotOf(next.wait_ms), 9, "no burst is left");
    });

    await t.step("with several apps each adds its own rate", async () => {
      await empty();
      const apps = ["app-a", "app-b"];
      const claims = [];
      for (let i = 0; i < 10; i++) claims.push(await claim(await newUser(), { apps }));
      assert.deepEqual(claims.map((c) => slotOf(c.wait_ms)).sort(), [0, 0, 0, 0, 0, 0, 1, 1, 2, 2]);
      const perApp = Object.groupBy(claims, (c) => c.machine.fly_app_name);
      assert.deepEqual([perApp["app-a"]?.length, perApp["app-b"]?.length], [5, 5]);
    });

    await t.step("a repeated claim after a lost answer keeps its slot", async () => {
      await empty();
      const user = await newUser();
      for (let i = 0; i < 3; i++) await claim(await newUser());
      const args = {
        p_user_id: user,
        p_machine_id: "machine-repeated",
        p_region: "iad",
        p_cpu_priority: "low",
        p_request_id: "repeated",
        p_request_hash: "hash",
        p_machine_limit: 1,
        p_timeout_ms: 1_200_000,
        p_rate_per_second: 0.1,
        p_burst: 3,
        p_wait_at_most_ms: 900_000,
        p_fly_app_names: ["app"],
        p_websocket_url_template: "wss://{app}/{machineId}",
      };
      const first = await rpc("claim_machine", args);
      const again = await rpc("claim_machine", args);
      assert.deepEqual([first.outcome, again.outcome], ["claimed", "claimed"]);
      assert.equal(slotOf(again.wait_ms), slotOf(first.wait_ms));
      assert.equal((await queue()).filter((id) => id === user).length, 1);
    });

    await t.step("only services can read and take slots", async () => {
      const { client } = await supabase.createUser();
      for (const table of ["fly_create_slots", "fly_create_buckets"]) {
        const { error } = await client.from(table).select();
        assert(error, `${table} must not be readable by a user`);
      }
      const { error } = await client.rpc("take_create_slot", { p_id: crypto.randomUUID() });
      assert(error);
    });
  } finally {
    await supabase.close();
  }
});
