/** Failures that have no row: each counts once, whatever id their caller gave them. */
import assert from "node:assert/strict";
import { assertError } from "../support/expectations.ts";
import { Alerting } from "../support/alerting.ts";
import { until } from "../support/until.ts";

Deno.test("failures without a row", async (t) => {
  await using alerting = await Alerting.start();
  const { stack, webhook } = alerting;
  const { supabase } = stack;
  const failClaims = () =>
    supabase.addFault({
      match: { rpc: "claim_machine" },
      times: "always",
      do: { kind: "status", status: 400, body: { message: "no", code: "XX000" } },
    });
  const counted = async () =>
    (await supabase.sql(
      "select 1 from machine_events where kind = 'failed' and cloud_machine_id is null",
    )).length;

  await t.step("ten that say the same of themselves are ten, and alert", async () => {
    const user = await supabase.createUser();
    const over = failClaims();
    const requestIds: string[] = [];
    for (let n = 0; n < 4; n++) {
      const answer = await stack.call(user, { body: {} });
      assertError(answer, 500, "database_error");
      requestIds.push(answer.requestId);
    }
    over();
    await until("all are counted", async () => await counted() === 4);
    await until("the alert is sent", () => webhook.texts.length === 1);
    assert.match(webhook.texts[0] ?? "", /failures in the last 10 minutes\n• database_error: /);
    // A caller chooses the id of its request, so that is not what tells failures apart.
    const notes = await supabase.sql<{ request_id: string; call: string }>(
      "select request_id, detail ->> 'call' as call from machine_events where kind = 'failed'",
    );
    assert.deepEqual(notes.map(({ request_id }) => request_id), requestIds);
    assert.equal(new Set([...requestIds, ...notes.map(({ call }) => call)]).size, 8);
    for (let n = 0; n < 6; n++) {
      await supabase.sql("select record_failed_request('my-frontend', 'database_error', 1, $1)", [
        `call-${n}`,
      ]);
    }
    assert.equal(await counted(), 10);
  });

  await t.step("one is one, although the answer to its note was lost", async () => {
    await alerting.reset();
    const over = failClaims();
    supabase.addFault({
      match: { rpc: "record_failed_request" },
      do: { kind: "reset", when: "after" },
    });
    const before = supabase.requests({ rpc: "record_failed_request" }).length;
    const answer = await stack.call(await supabase.createUser(), { body: {} });
    assertError(answer, 500, "database_error");
    over();
    await until(
      "it is noted again",
      () => supabase.requests({ rpc: "record_failed_request" }).length === before + 2,
    );
    await until(
      "that is answered",
      () => supabase.requests({ rpc: "record_failed_request" }).at(-1)?.status === 204,
    );
    assert.equal(await counted(), 1);
  });
});
