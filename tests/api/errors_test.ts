/** Every code of the contract: answer, row, log, and nothing left at Fly.io. */
import assert from "node:assert/strict";
import {
  CALLER_CODES,
  CODES,
  PROVISIONING_CODES,
  type ProvisioningErrorCode,
} from "../../supabase/functions/provision-machine/errors.ts";
import { CALLER_CASES } from "../support/caller-cases.ts";
import { assertError, assertFailedRow } from "../support/expectations.ts";
import { BLIND_APPS, FLY_FAILURES, type FlyFailure, TEST_REGIONS } from "../support/failures.ts";
import type { RunningFunction } from "../support/running-function.ts";
import { type Answer, FLY_APP, type Stack, startStack } from "../support/stack.ts";

/** Failures that have nothing to do with Fly.io are tested below, each with its own outage. */
const OTHER_FAILURES: ProvisioningErrorCode[] = [
  "configuration_error",
  "database_error",
  "internal_error",
];

Deno.test("every code of the contract has a case", () => {
  assert.deepEqual(
    [...new Set(CALLER_CASES.map(({ code }) => code))].sort(),
    Object.keys(CALLER_CODES).sort(),
  );
  assert.deepEqual(
    [...new Set([...FLY_FAILURES.map(({ code }) => code), ...OTHER_FAILURES])].sort(),
    Object.keys(PROVISIONING_CODES).sort(),
  );
});

Deno.test("errors", async (t) => {
  await using stack = await startStack({
    env: { FLY_REGIONS: TEST_REGIONS.join(",") },
    fly: { apps: [FLY_APP, ...BLIND_APPS], regions: TEST_REGIONS },
  });

  for (const { code, call, env, extra, check, rows = 0 } of CALLER_CASES) {
    await t.step(code, async () => {
      const user = await stack.supabase.createUser();
      // The refusals of an isolate share a few lines of log.
      await stack.restart(env);
      const { fn } = stack;
      const answer = await call(stack, user, fn);
      assertError(answer, CODES[code].status, code, extra);
      check?.(answer);
      assert.equal((await stack.rowsOf(user)).length, rows);
      const log = await fn.log(answer.requestId);
      assert.deepEqual(log.filter(({ level }) => level === "error"), []);
      assert.equal(log.at(-1)?.["code"], code);
      assert.equal(log.at(-1)?.["reason"], answer.body.error);
    });
  }

  await stack.restart();
  await t.step("configuration_error", async () => {
    const user = await stack.supabase.createUser();
    await using fn = await stack.start({ FLY_APP_NAME: undefined });
    const answer = await fn.call(user, { body: {} });
    assertError(answer, 500, "configuration_error");
    await assertFailedRow(stack, answer);
    await assertLogged(fn, answer);
  });

  await t.step("internal_error: the Auth server is out", async () => {
    const user = await stack.supabase.createUser();
    stack.supabase.setOutage({ services: ["auth"] });
    const answer = await stack.call(user, { body: {} });
    stack.supabase.setOutage(false);
    assertError(answer, 500, "internal_error");
    assert.equal(answer.headers.get("retry-after"), "5");
    assert.deepEqual(await stack.rowsOf(user), []);
    await assertLogged(stack.fn, answer);
  });

  await t.step("database_error: the database is out before there is a row", async () => {
    const user = await stack.supabase.createUser();
    stack.simulator.clearRequests();
    stack.supabase.setOutage({ services: ["rest"] });
    const answer = await stack.call(user, { body: {} });
    stack.supabase.setOutage(false);
    assertError(answer, 500, "database_error");
    assert.equal(answer.body.machineId, null);
    assert.equal(answer.headers.get("retry-after"), "10");
    assert.deepEqual(await stack.rowsOf(user), []);
    assert.deepEqual(stack.simulator.requests(), []);
    await assertLogged(stack.fn, answer);
  });

  await t.step("database_error: the database hangs before there is a row", async () => {
    const user = await stack.supabase.createUser();
    await using fn = await stack.start({ PROVISION_TIMEOUT_SECONDS: "1" });
    stack.supabase.setOutage({ services: ["rest"], fault: { kind: "hang", when: "before" } });
    const answer = await fn.call(user, { body: {} });
    stack.supabase.setOutage(false);
    assertError(answer, 500, "database_error");
    await assertLogged(fn, answer);
  });

  await t.step("database_error: the database is out after the row was written", async () => {
    const user = await stack.supabase.createUser();
    const restore = stack.supabase.onRequest(({ rpc }) =>
      rpc === null || rpc === "claim_machine" ? undefined : { kind: "reset", when: "before" }
    );
    const answer = await stack.call(user, { body: {} });
    restore();
    assertError(answer, 500, "database_error");
    assert.match(answer.body.message, /The row may still say provisioning/);
    const { machineId } = answer.body;
    // The row may say running, as far as the request knows, so the machine lives.
    assert.equal(stack.liveMachines(machineId).length, 1);
    const event = await stack.fn.failure(answer.requestId, 1);
    assert.equal(event["code"], "database_error");
    assert.equal(event["machineId"], machineId);

    assert.equal((await stack.row(machineId)).status, "provisioning");
    await stack.makeDue(machineId);
    assert.equal((await stack.reconcile()).status, 200);
    assert.equal((await stack.row(machineId)).status, "running");
  });

  await t.step("failures at Fly.io", (t) => testFlyFailures(t, stack));

  await t.step("what a failure may have left is gone after reconcile", async () => {
    stack.simulator.clearFaults();
    await stack.supabase.sql(
      "update cloud_machines set reconcile_at = now() where reconcile_at is not null",
    );
    const { status, body } = await stack.reconcile();
    assert.equal(status, 200);
    assert.equal(body.failed, 0, JSON.stringify(body.actions));
    const rows = await stack.supabase.sql<{ machine_id: string }>(
      "select machine_id from cloud_machines where status = 'error'",
    );
    assert.ok(rows.length >= FLY_FAILURES.length);
    for (const { machine_id } of rows) assert.deepEqual(stack.liveMachines(machine_id), []);
    const due = await stack.supabase.sql("select 1 from cloud_machines where reconcile_at notnull");
    assert.deepEqual(due, []);
  });
});

/** All at once, each in a region of its own: most of them consist of waiting. */
async function testFlyFailures(t: Deno.TestContext, stack: Stack): Promise<void> {
  assert.ok(FLY_FAILURES.length < TEST_REGIONS.length);
  const functions = new Map<string, Promise<RunningFunction>>();
  const functionFor = (env: Record<string, string>) => {
    const key = JSON.stringify(env);
    const started = functions.get(key) ?? stack.start(env);
    functions.set(key, started);
    return started;
  };
  const prepared = await Promise.all(FLY_FAILURES.map(async (failure, index) => {
    const region = TEST_REGIONS[index + 1] ?? "";
    failure.arrange(stack, region);
    const [fn, user] = await Promise.all([
      functionFor(failure.env ?? {}),
      stack.supabase.createUser(),
    ]);
    return { failure, region, fn, user };
  }));
  const outcomes = await Promise.all(prepared.map(async ({ failure, region, fn, user }) => {
    return { failure, fn, answer: await fn.call(user, { body: { region } }) };
  }));
  for (const { failure, fn, answer } of outcomes) {
    await t.step(failure.name, () => assertFlyFailure(stack, fn, failure, answer));
  }
  for (const fn of functions.values()) await (await fn).stop();
}

async function assertFlyFailure(
  stack: Stack,
  fn: RunningFunction,
  failure: FlyFailure,
  answer: Answer,
): Promise<void> {
  assertError(answer, 500, failure.code);
  assert.equal(answer.headers.get("retry-after"), failure.retryAfter ?? null);
  const row = await assertFailedRow(stack, answer, failure.left);
  assert.equal(row.reconcile_at !== null, failure.left !== undefined);
  const leftover = /Any leftover Fly machine will be destroyed within minutes/;
  assert.equal(leftover.test(answer.body.message), failure.left !== undefined);

  const event = await assertLogged(fn, answer, failure.otherErrors);
  assert.equal(event["code"], failure.code);
  assert.equal(event["machineId"], row.machine_id);
  const asked = stack.simulator.requests().map(({ requestId }) => requestId);
  if (failure.flyAnswered) assert.ok(asked.includes(String(event["flyRequestId"])));
  // After a time-out an answer may have arrived that was no longer awaited.
  if (failure.code !== "provision_timeout") await assertFlyRequestIdsLogged(stack, fn, answer);

  const history = await stack.historyOf(row.machine_id);
  const failed = history.find(({ kind }) => kind === "failed");
  assert.equal(failed?.error_code, failure.code);
  assert.equal(failed.request_id, answer.requestId);
  assert.ok((failed.duration_ms ?? -1) >= 0);
}

/** The summary has the request id of each answer to a create. */
async function assertFlyRequestIdsLogged(
  stack: Stack,
  fn: RunningFunction,
  { requestId, body }: Answer,
): Promise<void> {
  const logged = ((await fn.log(requestId)).at(-1)?.["flyRequestIds"] ?? []) as unknown[];
  const creates = stack.simulator.requests().filter(({ action, machineName, status }) =>
    action === "create" && machineName === body.machineId && status !== null
  );
  for (const create of creates) assert.ok(logged.includes(create.requestId));
}

/** One error event with the error and its stack; the summary repeats the code. */
async function assertLogged(fn: RunningFunction, answer: Answer, others = 0) {
  const event = await fn.failure(answer.requestId, others);
  assert.equal(event.stream, "stderr");
  assert.equal(event["code"], answer.body.code);
  assert.equal(event["machineId"] ?? null, answer.body.machineId);
  const { name, message, stack } = event["error"] as Record<string, string>;
  assert.ok(name && message);
  assert.match(stack ?? "", /\n {4}at /);
  const summary = (await fn.log(answer.requestId)).at(-1);
  assert.deepEqual(
    [summary?.["outcome"], summary?.["code"], summary?.["status"]],
    ["failed", answer.body.code, 500],
  );
  return event;
}
