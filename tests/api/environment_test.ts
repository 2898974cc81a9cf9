/**
 * The function with a broken environment: its answer, its log and its row. What is valid for each
 * variable is in the unit tests.
 */
import assert from "node:assert/strict";
import { ENVIRONMENT } from "../../supabase/functions/provision-machine/config/environment.ts";
import { assertError, assertFailedRow } from "../support/expectations.ts";
import { type Answer, type Stack, startStack } from "../support/stack.ts";
import type { RunningFunction } from "../support/running-function.ts";

/** All functions run at the same time. */
const MISSING: { name: string; unset: string[]; row: boolean }[] = [
  { name: "FLY_API_TOKEN", unset: ["FLY_API_TOKEN"], row: true },
  { name: "FLY_APP_NAME", unset: ["FLY_APP_NAME"], row: true },
  { name: "DOCKER_IMAGE", unset: ["DOCKER_IMAGE"], row: true },
  { name: "SUPABASE_URL", unset: ["SUPABASE_URL"], row: false },
  {
    name: "SUPABASE_SERVICE_ROLE_KEY",
    unset: ["SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_SECRET_KEYS"],
    row: false,
  },
];

const BROKEN: { env: Record<string, string>; row: boolean }[] = [
  { env: { FLY_API_TOKEN: "fo1_tökenthatishalfright" }, row: true },
  { env: { FLY_API_HOSTNAME: "api.machines.dev" }, row: true },
  { env: { MACHINE_ENV: '{"PASSWORD":"correct-horse-battery"' }, row: true },
  { env: { PROVISION_TIMEOUT_SECONDS: "-5" }, row: true },
  { env: { FLY_REGIONS: "iad;ams" }, row: true },
  { env: { LOG_LEVEL: "loud" }, row: true },
  { env: { ALLOWED_ORIGINS: "app.example.com" }, row: true },
  { env: { SUPABASE_SECRET_KEYS: "sb_secret_without-any-json-around-it" }, row: false },
];

Deno.test("the function with a broken environment", async (t) => {
  await using stack = await startStack();
  const cases = [
    ...MISSING.map(({ name, unset, row }) => ({
      name,
      row,
      env: Object.fromEntries(unset.map((variable) => [variable, undefined])),
      error: `${name} not configured - cannot provision Fly.io machine`,
      message: `Server configuration error - ${name} missing`,
    })),
    ...BROKEN.map(({ env, row }) => ({
      name: Object.keys(env)[0] ?? "",
      row,
      env,
      error: `${Object.keys(env)[0]} not valid - cannot provision Fly.io machine`,
      message: undefined,
    })),
  ];
  const required = Object.entries(ENVIRONMENT)
    .filter(([, schema]) => !schema.safeParse(undefined).success).map(([name]) => name);
  for (const name of required) assert.ok(MISSING.some((missing) => missing.name === name), name);
  const outcomes = await Promise.all(cases.map(async (expected) => {
    const fn = await stack.start(expected.env);
    const user = await stack.supabase.createUser();
    return { expected, fn, answer: await fn.call(user, { body: {} }) };
  }));
  for (const { expected, fn, answer } of outcomes) {
    await t.step(expected.error, async () => {
      assertError(answer, 500, "configuration_error");
      assert.equal(answer.body.error, expected.error);
      if (expected.message) assert.equal(answer.body.message, expected.message);
      await assertCritical(fn, answer, expected.name);
      await assertRow(stack, answer, expected.row);
      await fn.stop();
    });
  }
  assert.deepEqual(stack.simulator.requests(), []);
});

async function assertCritical(fn: RunningFunction, answer: Answer, name: string): Promise<void> {
  const event = await fn.failure(answer.requestId);
  assert.equal(event.message, `CRITICAL ERROR: ${answer.body.error}`);
  assert.equal(event.stream, "stderr");
  const problems = event["problems"] as { variable: string }[];
  assert.equal(problems[0]?.variable, name);
  const preflight = await fn.call(null, { method: "OPTIONS" });
  assert.equal(preflight.status, 204);
}

async function assertRow(stack: Stack, answer: Answer, expected: boolean): Promise<void> {
  if (!expected) return assert.equal(answer.body.machineId, null);
  const row = await assertFailedRow(stack, answer);
  assert.equal(row.reconcile_at, null);
  const history = await stack.historyOf(row.machine_id);
  assert.deepEqual(
    history.map(({ kind, error_code, request_id }) => [kind, error_code, request_id]),
    [["failed", "configuration_error", answer.requestId]],
  );
}
