/** Runs reconcile and checks what it did. */
import assert from "node:assert/strict";
import type { Answer, Stack } from "./stack.ts";

/** The counts of a run that found nothing to do. */
export const NOTHING = {
  adopted: 0,
  interrupted: 0,
  destroyed: 0,
  cleanedUp: 0,
  orphansDestroyed: 0,
  lost: 0,
  started: 0,
  stopped: 0,
  crashed: 0,
  expired: 0,
  found: 0,
  pooled: 0,
  poolDiscarded: 0,
  poolDestroyed: 0,
  suspected: 0,
  orphansHeld: 0,
  failed: 0,
};

/** Runs reconcile and asserts that it did exactly this; held orphans are no actions. */
export async function assertRun(
  stack: Stack,
  expected: Partial<typeof NOTHING>,
  body: Record<string, string> = {},
): Promise<Answer> {
  const answer = await stack.reconcile(body);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  const { actions, requestId, ...counts } = answer.body;
  const done = Object.fromEntries(
    Object.keys(NOTHING).map((action) => [action, counts[action]]),
  );
  assert.deepEqual(done, { ...NOTHING, ...expected }, JSON.stringify(actions));
  assert.equal(requestId, answer.requestId);
  const { orphansHeld: _held, ...taken } = expected;
  const count = Object.values(taken).reduce((sum, count) => sum + count, 0);
  assert.equal(actions.length, count, JSON.stringify(actions));
  return answer;
}
