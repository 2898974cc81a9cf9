/** Which due rows reconcile gets first: interrupted requests, then users in turn, failures last. */
import assert from "node:assert/strict";
import { startSupabase } from "../../dev/stack/supabase/mod.ts";

Deno.test("due rows are taken in turn", async (t) => {
  const supabase = await startSupabase();
  const [busy, other] = [await supabase.createUser(), await supabase.createUser()];
  const insert = (machineId: string, userId: string, status: "error" | "provisioning") =>
    supabase.sql(
      `insert into cloud_machines (machine_id, user_id, region, cpu_priority, status, error_code,
         error_message, request_hash, request_id, deadline_at, reconcile_at)
       values ($1, $2, 'iad', 'low', $3, $4, $4, '', 'r', now(), now() - interval '1 minute')`,
      [machineId, userId, status, status === "error" ? "interrupted" : null],
    );
  const take = async (limit: number, call = crypto.randomUUID()) => {
    const [row] = await supabase.sql<{ taken: { machine_id: string }[] }>(
      "select take_due_machines($1, 50000, $2) as taken",
      [limit, call],
    );
    return (row?.taken ?? []).map(({ machine_id }) => machine_id);
  };
  const makeDue = () => supabase.sql("update cloud_machines set reconcile_at = now()");
  try {
    for (let n = 0; n < 20; n++) await insert(`busy-${n}`, busy.id, "error");
    await insert("other-1", other.id, "error");
    await insert("dead-request", busy.id, "provisioning");

    await t.step("an interrupted request comes first, whatever else is due", async () => {
      assert.deepEqual(await take(1), ["dead-request"]);
    });
    await t.step("one user's many rows do not delay another user's single row", async () => {
      const taken = await take(2);
      assert.ok(taken.includes("other-1"), taken.join());
    });
    await t.step("rows that failed before come last", async () => {
      await makeDue();
      const taken = await take(19);
      assert.ok(!taken.includes("other-1"), taken.join());
    });
    await t.step("within a page too, users take turns", async () => {
      await makeDue();
      await supabase.sql("update cloud_machines set reconcile_attempts = 0");
      // Which of the busy user's rows is first is left open: all of them are due at the same moment.
      const [busyRow, ...others] = (await take(20)).slice(0, 3).sort();
      assert.deepEqual([busyRow?.replace(/\d+$/, ""), ...others], [
        "busy-",
        "dead-request",
        "other-1",
      ]);
    });
    await t.step("a call whose answer was lost gets the same rows again", async () => {
      await makeDue();
      const call = crypto.randomUUID();
      const taken = await take(3, call);
      assert.equal(taken.length, 3);
      assert.deepEqual((await take(3, call)).sort(), taken.sort());
      const others = await take(3);
      assert.ok(!others.some((machineId) => taken.includes(machineId)), others.join());
    });
    await t.step("the pauses of a row that is taken repeatedly grow", async () => {
      const pauses: number[] = [];
      for (let run = 0; run < 4; run++) {
        await supabase.sql(
          "update cloud_machines set reconcile_at = now() where machine_id = 'other-1'",
        );
        await supabase.sql(
          "update cloud_machines set reconcile_at = null where machine_id like 'busy-%'",
        );
        await take(5);
        const [row] = await supabase.sql<{ pause: string }>(
          "select extract(epoch from reconcile_at - now()) as pause from cloud_machines where machine_id = 'other-1'",
        );
        pauses.push(Math.round(Number(row?.pause)));
      }
      assert.deepEqual(pauses.map((pause, n) => n === 0 || pause > (pauses[n - 1] ?? 0)), [
        true,
        true,
        true,
        true,
      ], pauses.join());
    });
    await t.step("a new task resets the attempts of its row", async () => {
      await supabase.sql(
        "update cloud_machines set destroy_requested_at = now() where machine_id = 'other-1'",
      );
      const [row] = await supabase.sql<{ reconcile_attempts: number }>(
        "select reconcile_attempts from cloud_machines where machine_id = 'other-1'",
      );
      assert.equal(row?.reconcile_attempts, 0);
    });
  } finally {
    await supabase.close();
  }
});
