/** Counts of refused requests: how they get out of an isolate, and how rarely. */
import assert from "node:assert/strict";
import { RefusalCounts } from "../../supabase/functions/provision-machine/logging/refusals.ts";

const WINDOW = 10_000;

function world() {
  const state = { now: 1_000_000, fails: false };
  const sent: Record<string, number>[] = [];
  const background: Promise<unknown>[] = [];
  const counts = new RefusalCounts({
    clock: {
      now: () => state.now,
      after: () => assert.fail("a timer would keep the isolate"),
    },
    waitUntil: (work) => void background.push(work),
  }, (batch) => {
    sent.push(batch);
    return state.fails ? Promise.reject(new Error("the database is away")) : Promise.resolve();
  });
  return { state, sent, counts, settled: () => Promise.all(background.splice(0)) };
}

Deno.test("refusal counts: sent once in ten seconds, with a later refusal", async () => {
  const { state, sent, counts, settled } = world();
  for (let n = 0; n < 500; n++) counts.add(n % 2 === 0 ? "unauthorized" : "not_found");
  await settled();
  assert.deepEqual(sent, []);
  state.now += WINDOW;
  for (let n = 0; n < 100; n++) counts.add("preflight");
  await settled();
  assert.deepEqual(sent, [{ unauthorized: 250, not_found: 250, preflight: 1 }]);
  state.now += WINDOW - 1;
  counts.add("unauthorized");
  await settled();
  assert.equal(sent.length, 1);
  await counts.flush();
  assert.deepEqual(sent[1], { preflight: 99, unauthorized: 1 });
  await counts.flush();
  assert.equal(sent.length, 2, "nothing is left to send");
});

Deno.test("refusal counts: kept when they cannot be sent, and not tried for each request", async () => {
  const { state, sent, counts, settled } = world();
  state.fails = true;
  state.now += WINDOW;
  for (let n = 0; n < 50; n++) counts.add("unauthorized");
  await settled();
  assert.equal(sent.length, 1);
  for (let n = 0; n < 50; n++) counts.add("unauthorized");
  await settled();
  assert.equal(sent.length, 1);
  state.fails = false;
  await counts.flush();
  assert.deepEqual(sent[1], { unauthorized: 100 });
});
