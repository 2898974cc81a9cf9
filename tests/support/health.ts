/** What the tests of GET /health share: a call as a service, and the checks in its answer. */
import assert from "node:assert/strict";
import type { Check } from "../../supabase/functions/provision-machine/health/run-checks.ts";
import type { RunningFunction } from "./running-function.ts";
import type { Answer, Stack } from "./stack.ts";

export const HEALTH = { method: "GET", path: "/health" };

/** What a service sees, from a new function process, which has no cached report. */
export async function health(
  stack: Stack,
  env: Record<string, string | undefined> = {},
): Promise<{ answer: Answer; checks: Record<string, Check> }> {
  await using fn = await stack.start(env);
  return await healthOf(stack, fn);
}

/** What a service sees from this function process. */
export async function healthOf(
  stack: Stack,
  fn: RunningFunction,
): Promise<{ answer: Answer; checks: Record<string, Check> }> {
  const answer = await fn.call(null, { ...HEALTH, headers: { apikey: stack.supabase.secretKey } });
  const checks = Object.fromEntries(
    Object.entries<Check[]>(answer.body.checks).map(([name, [check, ...others]]) => {
      assert.deepEqual(others, []);
      assert.ok(check);
      return [name, check];
    }),
  );
  return { answer, checks };
}

/** The status of each check, by its name. */
export function statuses(checks: Record<string, Check>): Record<string, string> {
  return Object.fromEntries(Object.entries(checks).map(([name, { status }]) => [name, status]));
}

/** The checks that do not pass, with what they say. */
export function complaints(checks: Record<string, Check>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(checks).filter(([, { status }]) => status !== "pass")
      .map(([name, { status, output, observedValue }]) => [
        name,
        `${status}: ${output ?? observedValue}`,
      ]),
  );
}
