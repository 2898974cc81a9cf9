/** Calls of the database: what is tried again, how often, for how long, and what the errors say. */
import assert from "node:assert/strict";
import { z } from "zod/v3";
import { VirtualClock } from "../../dev/stack/clock.ts";
import { DatabaseCaller } from "../../supabase/functions/provision-machine/database/caller.ts";
import { AppError } from "../../supabase/functions/provision-machine/errors.ts";
import { Deadline } from "../../supabase/functions/provision-machine/time.ts";
import { after, type Answer, broken, lost, says, silent } from "./scripted-provisioning.ts";

const URL = "https://project.supabase.co";
const GIVEN = says(200, 7);
const DOWN = says(503, { message: "down" });

interface Called {
  result: number | AppError;
  /** How often the database was called. */
  calls: Request[];
  elapsedMs: number;
}

async function call(answers: Answer[], budgetMs = 60_000): Promise<Called> {
  const clock = new VirtualClock();
  const startedAt = clock.now();
  const calls: Request[] = [];
  const caller = new DatabaseCaller({
    url: URL,
    serviceKeys: ["sb_secret_1", "other"],
    legacyKey: null,
    projectHost: null,
  }, {
    clock,
    random: () => 0.5,
    fetch: (input, init) => {
      calls.push(new Request(input, init));
      const answer = answers[Math.min(calls.length, answers.length) - 1] ?? lost;
      return answer(init?.signal ?? undefined, clock);
    },
  });
  const deadline = Deadline.after(clock, budgetMs);
  const args = { p_ids: ["row-1"], p_reason: "why", p_after_ms: 1 };
  const result = await clock.run(
    caller.rpc("hand_over_to_reconcile", args, z.number(), deadline),
  ).catch((error: unknown) => {
    assert.ok(error instanceof AppError, String(error));
    return error;
  });
  return { result, calls, elapsedMs: clock.now() - startedAt };
}

Deno.test("database caller: one call with the first key, and its result", async () => {
  const { result, calls, elapsedMs } = await call([GIVEN]);
  assert.deepEqual([result, calls.length, elapsedMs], [7, 1, 0]);
  const [request] = calls;
  assert.equal(request?.url, `${URL}/rest/v1/rpc/hand_over_to_reconcile`);
  assert.equal(request?.headers.get("apikey"), "sb_secret_1");
  assert.deepEqual(await request?.json(), { p_ids: ["row-1"], p_reason: "why", p_after_ms: 1 });
});

Deno.test("database caller: what may be the network's fault is tried again, three times in all", async () => {
  for (
    const failure of [lost, broken, DOWN, says(500, "<html>"), says(408), says(429), says(200, "<")]
  ) {
    const again = await call([failure, GIVEN]);
    assert.deepEqual([again.result, again.calls.length, again.elapsedMs], [7, 2, 200]);
    const { result, calls, elapsedMs } = await call([failure]);
    assert.ok(result instanceof AppError);
    assert.deepEqual([result.code, calls.length, elapsedMs], ["database_error", 3, 200 + 400]);
  }
});

Deno.test("database caller: what is the call's own fault is not tried again", async () => {
  for (const status of [400, 401, 403, 404, 409]) {
    const { result, calls } = await call([says(status, { message: "refused", code: "42501" })]);
    assert.ok(result instanceof AppError);
    assert.deepEqual([result.code, result.message, calls.length], [
      "database_error",
      "The database could not be used",
      1,
    ]);
    assert.ok(result.cause instanceof Error);
    assert.equal(
      result.cause.message,
      `hand_over_to_reconcile: refused (42501), HTTP ${status}`,
    );
  }
});

Deno.test("database caller: a result of another shape is a schema that does not fit", async () => {
  const { result, calls } = await call([says(200, { outcome: "applied" })]);
  assert.ok(result instanceof AppError);
  assert.deepEqual([result.code, result.message, result.hint, calls.length], [
    "database_error",
    "hand_over_to_reconcile returned something unexpected",
    "The database schema does not fit this version of the function",
    1,
  ]);
});

Deno.test("database caller: no answer within ten seconds is tried again", async () => {
  const { result, calls, elapsedMs } = await call([silent, after(9_999, GIVEN)]);
  assert.deepEqual([result, calls.length, elapsedMs], [7, 2, 10_000 + 200 + 9_999]);
});

Deno.test("database caller: the deadline bounds all attempts and the pauses between them", async () => {
  const cut = await call([silent], 4_000);
  assert.deepEqual([cut.calls.length, cut.elapsedMs], [1, 4_000]);
  // A pause that would reach the deadline is not begun.
  const refused = await call([DOWN], 200);
  assert.deepEqual([refused.calls.length, refused.elapsedMs], [1, 0]);
  assert.equal((await call([DOWN], 201)).calls.length, 2);
});
