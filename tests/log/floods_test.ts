/** However many requests are refused, their lines leave room for those of failures. */
import assert from "node:assert/strict";
import { assertError } from "../support/expectations.ts";
import { inParallel } from "../../supabase/functions/provision-machine/time.ts";
import type { LogEvent } from "../invariants/log-events.ts";
import type { CallOptions } from "../support/running-function.ts";
import { type Stack, startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";

/** What anybody can send who has no account. */
const ANONYMOUS: Record<string, CallOptions> = {
  unauthorized: { body: {} },
  preflight: { method: "OPTIONS", headers: { "access-control-request-method": "POST" } },
  not_found: { method: "GET", path: "/no/such/path" },
  method_not_allowed: { method: "PUT", body: {} },
  anonymous: { method: "GET", path: "/health" },
};
/** Of all refused requests together, in ten seconds: their lines, and the one that counts the rest. */
const REFUSED_EVENTS = 20 + 1;

Deno.test("floods", async (t) => {
  await using stack = await startStack({ fly: { apps: [] } });
  const { fn, supabase } = stack;
  const user = await supabase.createUser();

  await t.step("500 anonymous requests leave every line of a failure", async () => {
    const kinds = Object.values(ANONYMOUS);
    const floods = Array.from({ length: 500 }, (_, n) => kinds[n % kinds.length] ?? {});
    const flood = inParallel(8, floods, async (options) => void await fn.call(null, options));
    const answer = await fn.call(user, { body: {} });
    assertError(answer, 500, "fly_rejected");
    await flood;
    assert.deepEqual((await fn.log(answer.requestId)).map(({ message }) => message.split(":")[0]), [
      "provision-machine invoked",
      "Environment check",
      "Calling Fly.io API to create machine in iad...",
      "Fly.io API response status",
      "❌ Fly.io provisioning failed",
      "provision-machine finished",
    ]);
    const counted = await refusedCounts(stack, "unauthorized");
    const others = fn.events().filter(({ requestId }) => requestId !== answer.requestId);
    const windows = others.filter(isCount).length;
    assert.ok(others.length <= REFUSED_EVENTS * windows, `${others.length} events`);
    const shown = others.filter(({ message }) => message.startsWith("provision-machine finished"));
    for (const code of Object.keys(ANONYMOUS)) {
      const inFull = shown.filter((event) => codeOf(event) === code).length;
      assert.equal((counted[code] ?? 0) + inFull, 100, code);
    }
    // All of them are in the metric, for one call to the database in ten seconds at most.
    await until(
      "they are in /metrics",
      async () =>
        (await refusedTotals(stack))["unauthorized"] === 100 &&
        supabase.requests({ rpc: "count_refused" }).length <= windows + 1,
    );
    const totals = await refusedTotals(stack);
    for (const code of Object.keys(ANONYMOUS)) assert.equal(totals[code], 100, code);
  });

  await t.step("a signed-in user's own mistakes share it", async () => {
    const before = fn.events().length;
    await inParallel(4, Array.from({ length: 60 }), async () => {
      const headers = { "content-type": "text/plain" };
      assert.equal((await fn.call(user, { headers, body: "x" })).status, 415);
    });
    await refusedCounts(stack, "unsupported_media_type");
    assert.ok(fn.events().length - before <= 2 * REFUSED_EVENTS);
  });
});

Deno.test("failures before the caller is known are no failures to provision", async () => {
  await using stack = await startStack();
  const { fn, supabase } = stack;
  const user = await supabase.createUser();
  const metrics = () => attempts(stack);
  supabase.addFault({
    match: { service: "auth" },
    times: "always",
    do: { kind: "status", status: 429, body: { code: 429, msg: "Request rate limit reached" } },
  });
  const answers = await Promise.all(Array.from({ length: 40 }, () => fn.call(user, { body: {} })));
  for (const answer of answers) {
    assertError(answer, 500, "internal_error");
    assert.ok(answer.headers.get("retry-after"));
  }
  await until("what was not shown is counted", () => fn.events().some(isCount), 15_000);
  const failures = fn.events().filter(({ message }) => message.startsWith("❌ Request failed"));
  const count = fn.events().find(isCount);
  assert.equal(count?.level, "error");
  assert.deepEqual(count?.["failed"], { internal_error: 40 - failures.length });
  assert.ok(failures.length >= 5 && fn.events().length <= 35, `${fn.events().length} events`);
  assert.deepEqual(await supabase.sql("select 1 from machine_events"), []);
  supabase.clearFaults();
  assert.deepEqual(await metrics(), []);
});

/** Requests that ended before they did anything, as /metrics has them. */
async function refusedTotals(stack: Stack): Promise<Record<string, number>> {
  const { secretKey } = stack.supabase;
  const response = await fetch(`${stack.url}/metrics`, { headers: { apikey: secretKey } });
  const found = (await response.text()).matchAll(
    /^provision_machine_refused_total\{code="(\w+)"\} (\d+)$/gm,
  );
  return Object.fromEntries([...found].map(([, code = "", n]) => [code, Number(n)]));
}

/** The attempts that failed, as /metrics has them. */
async function attempts(stack: Stack): Promise<string[]> {
  const { secretKey } = stack.supabase;
  const response = await fetch(`${stack.url}/metrics`, { headers: { apikey: secretKey } });
  return (await response.text()).split("\n")
    .filter((line) => line.startsWith("provision_machine_attempts_total") && !line.endsWith(" 0"));
}

function isCount({ message }: LogEvent): boolean {
  return message.startsWith("provision-machine refused");
}

function codeOf(event: LogEvent): unknown {
  return event["code"] ?? (event["status"] === 204 ? "preflight" : "anonymous");
}

/** What was counted so far, once the window that has `code` is over. */
async function refusedCounts({ fn }: Stack, code: string): Promise<Record<string, number>> {
  const counts = () => fn.events().filter(isCount).map((event) => Object(event["refused"]));
  await until("the refused are counted", () => counts().some((count) => code in count), 15_000);
  const sums: Record<string, number> = {};
  for (const count of counts()) {
    for (const [name, n] of Object.entries(count)) sums[name] = (sums[name] ?? 0) + Number(n);
  }
  return sums;
}
