/** Headers of every answer: CORS, request id, trace. */
import assert from "node:assert/strict";
import { startStack } from "../support/stack.ts";
import type { Answer } from "../support/stack.ts";

const EXPOSED = ["x-request-id", "retry-after", "idempotency-replayed"];
/** What a browser asks for on behalf of supabase-js and of this API's own headers. */
const ASKED_FOR = [
  "authorization",
  "apikey",
  "content-type",
  "x-client-info",
  "idempotency-key",
  "prefer",
  "x-request-id",
  "traceparent",
];
const APP = "https://app.example.com";
const ADMIN = "https://admin.example.com:8443";
const STRANGER = "https://evil.example.net";
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

Deno.test("CORS and request ids", async (t) => {
  await using stack = await startStack({ env: { MAX_MACHINES_PER_USER: "100" } });
  const user = await stack.supabase.createUser();

  await t.step("a preflight needs no credentials and lists what may be sent", async (t) => {
    for (
      const path of ["", "/", "/machine-of-another-user", "/health", "/reconcile", "/no/such/path"]
    ) {
      await t.step(`OPTIONS ${path}`, async () => {
        const answer = await stack.call(null, {
          method: "OPTIONS",
          path,
          headers: {
            origin: APP,
            "access-control-request-method": "POST",
            "access-control-request-headers": ASKED_FOR.join(","),
          },
        });
        assert.equal(answer.status, 204);
        assert.equal(answer.body, null);
        assert.equal(answer.headers.get("access-control-allow-origin"), "*");
        assertContains(answer, "access-control-allow-headers", ASKED_FOR);
        assertContains(answer, "access-control-allow-methods", ["get", "post", "delete"]);
        assert.ok(Number(answer.headers.get("access-control-max-age")) > 0);
      });
    }
  });

  await t.step("every answer can be read by a browser, whatever its status", async () => {
    stack.simulator.addFault({
      match: { action: "create", region: "ams" },
      do: { kind: "status", status: 422, body: { error: "no" } },
    });
    const headers = { origin: APP };
    const answers = [
      await stack.call(user, { headers, body: {} }),
      await stack.call(user, { headers: { ...headers, prefer: "respond-async" }, body: {} }),
      await stack.call(user, { headers, body: { region: "nowhere" } }),
      await stack.call(null, { headers, body: {} }),
      await stack.call(user, { headers, path: "/reconcile" }),
      await stack.call(user, { headers, path: "/no/such/path" }),
      await stack.call(user, { headers, method: "PUT", body: {} }),
      await stack.call(user, { headers, body: "x".repeat(20_000) }),
      await stack.call(user, { headers: { ...headers, "content-type": "text/plain" }, body: "x" }),
      await stack.call(user, { headers, body: { region: "ams" } }),
    ];
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 202, 400, 401, 403, 404, 405, 413, 415, 500],
    );
    for (const answer of answers) {
      assert.equal(answer.headers.get("access-control-allow-origin"), "*", `${answer.status}`);
      assertContains(answer, "access-control-expose-headers", EXPOSED);
      assert.match(answer.requestId, UUID);
      assert.equal(answer.body.requestId, answer.requestId);
    }
    await stack.log(answers[1] ?? answers[0] as Answer);
  });

  await t.step("a list of origins", async (t) => {
    await using fn = await stack.start({ ALLOWED_ORIGINS: `${APP}, ${ADMIN}` });
    for (const origin of [APP, ADMIN]) {
      await t.step(`${origin} is allowed`, async () => {
        for (const options of [{ method: "OPTIONS" }, { body: {} }, { path: "/no/such/path" }]) {
          const answer = await fn.call(user, { ...options, headers: { origin } });
          assert.equal(answer.headers.get("access-control-allow-origin"), origin);
          assertContains(answer, "vary", ["origin"]);
        }
      });
    }
    for (
      const origin of [STRANGER, "null", `${APP}.evil.example.net`, "https://app.example.com:1"]
    ) {
      await t.step(`${origin} is not allowed`, async () => {
        for (const method of ["OPTIONS", "POST"]) {
          const answer = await fn.call(user, { method, headers: { origin } });
          const allowed = answer.headers.get("access-control-allow-origin");
          assert.ok(allowed !== origin && allowed !== "*", String(allowed));
          assertContains(answer, "vary", ["origin"]);
        }
      });
    }
  });

  await t.step("a valid request id is kept on every route", async () => {
    const requestId = "Order_42.retry-1";
    const answer = await stack.call(user, { headers: { "x-request-id": requestId }, body: {} });
    assert.equal(answer.requestId, requestId);
    assert.equal(answer.body.requestId, requestId);
    assert.equal((await stack.row(answer.body.machineId)).request_id, requestId);
    for (const event of await stack.log(answer)) assert.equal(event.requestId, requestId);
  });

  await t.step("any other is replaced, by a new one each time", async () => {
    const headers = { "x-request-id": encodeHeader("ünïcode") };
    const first = await stack.call(user, { headers, path: "/no/such/path" });
    const second = await stack.call(user, { path: "/no/such/path" });
    for (const { requestId } of [first, second]) assert.match(requestId, UUID);
    assert.notEqual(first.requestId, second.requestId);
  });

  await t.step("a trace continues in the log and to Fly.io, with a span of its own", async () => {
    const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
    const parentId = "00f067aa0ba902b7";
    stack.simulator.clearRequests();
    const headers = { traceparent: `00-${traceId}-${parentId}-01` };
    const answer = await stack.call(user, { headers, body: {} });
    for (const event of await stack.log(answer)) assert.equal(event["traceId"], traceId);
    const sent = stack.simulator.requests().map(({ traceparent }) => traceparent ?? "");
    assert.equal(sent.length, 2);
    for (const traceparent of sent) {
      assert.match(traceparent, new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`));
      assert.ok(!traceparent.includes(parentId));
    }
  });

  await t.step("a malformed trace is ignored", async () => {
    stack.simulator.clearRequests();
    const headers = { traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7" };
    const answer = await stack.call(user, { headers, body: {} });
    assert.equal(answer.status, 200);
    for (const event of await stack.log(answer)) assert.equal(event["traceId"], undefined);
    for (const { traceparent } of stack.simulator.requests()) assert.equal(traceparent, null);
  });
});

function assertContains({ headers, status }: Answer, name: string, wanted: string[]): void {
  const values = (headers.get(name) ?? "").toLowerCase().split(/\s*,\s*/);
  for (const value of wanted) {
    assert.ok(values.includes(value), `${status}: ${name} is ${values}`);
  }
}

/** A header's value as `fetch` takes it: one byte for each character. */
function encodeHeader(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text));
}
