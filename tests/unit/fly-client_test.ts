/** The Fly.io client: what is sent, how long it may take, and what becomes of each answer. */
import assert from "node:assert/strict";
import { z } from "zod/v3";
import { VirtualClock } from "../../dev/stack/clock.ts";
import {
  FlyClient,
  type FlyClientOptions,
  type FlyRequest,
} from "../../supabase/functions/provision-machine/fly/client.ts";
import { FlyError } from "../../supabase/functions/provision-machine/fly/errors.ts";
import { Redactor } from "../../supabase/functions/provision-machine/logging/redactor.ts";
import { Deadline } from "../../supabase/functions/provision-machine/time.ts";
import { type Answer, broken, lost, says, silent } from "./scripted-provisioning.ts";

const SECRET = 'fo1_a&secret"of=the-test';
const Machine = z.object({ id: z.string() });
type Machine = z.output<typeof Machine>;

function open(answer: Answer, options: Partial<FlyClientOptions> = {}) {
  const clock = new VirtualClock(Date.parse("2030-01-01T00:00:00Z"));
  const redactor = new Redactor();
  redactor.protect([SECRET]);
  const sent: { url: string; init: RequestInit | undefined }[] = [];
  const fly = new FlyClient({
    runtime: {
      clock,
      fetch: (url, init) => {
        sent.push({ url: String(url), init });
        return answer(init?.signal ?? undefined, clock);
      },
    },
    baseUrl: "https://api.machines.dev",
    token: "fo1_token",
    requestTimeoutMs: 30_000,
    redact: (text) => redactor.redact(text),
    ...options,
  });
  const call = (request: Partial<FlyRequest<Machine>> = {}) =>
    clock.run(fly.request({
      method: "GET",
      path: "/apps/my-app/machines",
      schema: Machine,
      deadline: Deadline.after(clock, 100_000),
      ...request,
    }));
  return { clock, sent, call };
}

async function failureOf(
  answer: Answer,
  request: Partial<FlyRequest<Machine>> = {},
): Promise<FlyError> {
  const error = await open(answer).call(request).then(() => null, (thrown: unknown) => thrown);
  assert.ok(error instanceof FlyError, String(error));
  return error;
}

Deno.test("fly client: a call without a body, and its answer", async () => {
  const { sent, call } = open(
    says(200, { id: "m-1", other: 1 }, { "fly-request-id": "01JNRQ9VVKJ7HZFMJWJB3M3RYN-yyz" }),
  );
  const { data, status, flyRequestId } = await call({ query: { "metadata.a": "x y&z" } });
  assert.deepEqual([data, status, flyRequestId], [
    { id: "m-1" },
    200,
    "01JNRQ9VVKJ7HZFMJWJB3M3RYN-yyz",
  ]);
  assert.equal(sent[0]?.url, "https://api.machines.dev/v1/apps/my-app/machines?metadata.a=x+y%26z");
  const { method, headers, body, redirect } = sent[0]?.init ?? {};
  assert.deepEqual({ method, headers, body, redirect }, {
    method: "GET",
    headers: { authorization: "Bearer fo1_token", accept: "application/json" },
    body: undefined,
    redirect: "error",
  });
});

Deno.test("fly client: a call with a body, a macaroon and a trace", async () => {
  const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
  const { sent, call } = open(says(200, { id: "m-1" }), {
    token: "FlyV1 fm2_a,fm2_b",
    traceparent,
  });
  await call({ method: "POST", body: { name: "machine-1" } });
  const { headers, body } = sent[0]?.init ?? {};
  assert.deepEqual(headers, {
    authorization: "FlyV1 fm2_a,fm2_b",
    accept: "application/json",
    "content-type": "application/json",
    traceparent,
  });
  assert.equal(body, '{"name":"machine-1"}');
});

Deno.test("fly client: a call ends at its own limit, or at the deadline of all", async () => {
  const cases: [request: Partial<FlyRequest<Machine>>, deadlineMs: number, limitMs: number][] = [
    [{}, 100_000, 30_000],
    [{ extraTimeoutMs: 60_000 }, 100_000, 90_000],
    [{ extraTimeoutMs: 60_000 }, 50_000, 50_000],
    [{}, 1, 1],
  ];
  for (const [request, deadlineMs, limitMs] of cases) {
    const { clock, call } = open(silent);
    const startedAt = clock.now();
    await assert.rejects(
      call({ ...request, deadline: Deadline.after(clock, deadlineMs) }),
      (error) => {
        assert.ok(error instanceof FlyError);
        assert.deepEqual([error.kind, error.message], [
          "timeout",
          `Fly.io did not answer within ${limitMs} ms`,
        ]);
        return true;
      },
    );
    assert.equal(clock.now() - startedAt, limitMs);
  }
});

Deno.test("fly client: an aborted call rejects with the reason of its signal", async () => {
  const controller = new AbortController();
  const why = new Error("not wanted any more");
  const { call } = open(silent);
  const result = call({ signal: controller.signal });
  controller.abort(why);
  await assert.rejects(result, (error) => error === why);
});

Deno.test("fly client: no answer, or one that breaks off or cannot be read", async () => {
  const network = await failureOf(lost);
  assert.deepEqual([network.kind, network.message, network.status], [
    "network",
    "Fly.io could not be reached: connection reset",
    undefined,
  ]);
  const cut = await failureOf(broken);
  assert.deepEqual([cut.kind, cut.message, cut.status], [
    "body",
    "Fly.io's answer broke off: Error: reset",
    200,
  ]);
  for (const body of ["<html>", "", '{"id":7}', "null", "[]"]) {
    const unreadable = await failureOf(says(200, body));
    assert.deepEqual([unreadable.kind, unreadable.message, unreadable.body], [
      "body",
      "Fly.io's answer could not be read",
      body,
    ]);
    assert.equal(unreadable.flyRequestId, "01JNRQ9VVKJ7HZFMJWJB3M3RYN-yyz");
  }
  const long = await failureOf(says(200, { token: SECRET, more: "x".repeat(3_000) }));
  assert.match(
    long.body ?? "",
    /^\{"token":"\[REDACTED\]","more":"x+…\[cut, 3032 characters in all\]$/,
  );
});

Deno.test("fly client: what a refusal says", async () => {
  const cases: [body: unknown, message: string][] = [
    [{ error: " no such image " }, "no such image"],
    [{ error: { code: 7 } }, '{"code":7}'],
    [{ message: "other shape" }, "other shape"],
    [{ status: "error", message: " lease held " }, "lease held"],
    [{ error: "first", message: "second" }, "first"],
    [{ message: { code: 7 } }, '{"code":7}'],
    [{ reason: "a third shape" }, '{"reason":"a third shape"}'],
    ["plain text", "plain text"],
    ["", "no reason"],
    [{ error: "a\0b" }, "a\uFFFDb"],
    [{ error: "x".repeat(400) }, `${"x".repeat(300)}…[cut, 400 characters in all]`],
    // As Fly.io escapes it, and escaped twice.
    ['{"error":"bad token fo1_a\\u0026secret\\"of=the-test"}', "bad token [REDACTED]"],
    [{ error: JSON.stringify({ token: SECRET }) }, '{"token":"[REDACTED]"}'],
    [`bad token ${SECRET}`, "bad token [REDACTED]"],
    [{ [SECRET]: 1 }, '{"[REDACTED]":1}'],
    ["a\0b", "a\uFFFDb"],
    [{ error: "x".repeat(290) + SECRET }, "x".repeat(290) + "[REDACTED]"],
  ];
  for (const [body, message] of cases) {
    const error = await failureOf(says(422, body));
    assert.equal(error.message, `Fly.io answered 422: ${message}`);
    assert.ok(!error.body?.includes(SECRET));
    assert.ok(!error.body?.includes("\0"));
  }
});

Deno.test("fly client: what is kept of a refusal", async () => {
  const error = await failureOf(
    says(429, "x".repeat(3_000), {
      "retry-after": "7",
      "fly-request-id": "01JNRQ9VVKJ7HZFMJWJB3M3RYN-yyz",
    }),
    { method: "POST" },
  );
  const { kind, method, status, body, flyRequestId, retryAfterMs } = error;
  assert.deepEqual({ kind, method, status, body, flyRequestId, retryAfterMs }, {
    kind: "status",
    method: "POST",
    status: 429,
    body: `${"x".repeat(2_000)}…[cut, 3000 characters in all]`,
    flyRequestId: "01JNRQ9VVKJ7HZFMJWJB3M3RYN-yyz",
    retryAfterMs: 7_000,
  });
});

Deno.test("fly client: Retry-After in seconds or as a date", async () => {
  const cases: [value: string, ms: number | undefined][] = [
    ["0", 0],
    [" 12 ", 12_000],
    ["Tue, 01 Jan 2030 00:01:30 GMT", 90_000],
    ["Mon, 31 Dec 2029 00:00:00 GMT", 0],
    ["soon", undefined],
    ["", undefined],
  ];
  for (const [value, ms] of cases) {
    const error = await failureOf(says(503, {}, { "retry-after": value }));
    assert.equal(error.retryAfterMs, ms, value);
  }
  assert.equal((await failureOf(says(503))).retryAfterMs, undefined);
});

Deno.test("fly client: what stands in fly-request-id and has no such shape is not passed on", async () => {
  const shapes = [
    "req-fm2_lJPECAAAAAAAB",
    "",
    "01JNRQ9VVKJ7HZFMJWJB3M3RYN-yyz fm2_secret",
    "fo1_0123",
  ];
  for (const shape of shapes) {
    const { call } = open(says(200, { id: "m-1" }, { "fly-request-id": shape }));
    assert.equal((await call()).flyRequestId, null, shape);
  }
});
