/** Request headers: request id, path, trace context, Idempotency-Key and Prefer. */
import assert from "node:assert/strict";
import { AppError } from "../../supabase/functions/provision-machine/errors.ts";
import {
  childTraceparent,
  idempotencyKeyOf,
  pathOf,
  prefersAsync,
  requestIdOf,
  traceContextOf,
} from "../../supabase/functions/provision-machine/http/headers.ts";
import { Redactor } from "../../supabase/functions/provision-machine/logging/redactor.ts";

const TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT_ID = "00f067aa0ba902b7";

Deno.test("headers: a valid request id is kept, any other is replaced", () => {
  const redactor = new Redactor();
  redactor.protect(["fo1_a-secret-token"]);
  const idFor = (given?: string) =>
    requestIdOf(
      new Headers(given === undefined ? {} : { "x-request-id": given }),
      () => "new",
      redactor,
    );
  for (const id of ["a", "Order_42.retry-1", "x".repeat(128), crypto.randomUUID()]) {
    assert.equal(idFor(id), id);
  }
  for (
    const id of [
      undefined,
      "",
      "two words",
      "x".repeat(129),
      "a/b",
      '"',
      "a,b",
      "fo1_a-secret-token",
    ]
  ) {
    assert.equal(idFor(id), "new", id);
  }
});

Deno.test("headers: the path is found whatever host the caller named", () => {
  const cases: [url: string, path: string][] = [
    ["http://localhost:8000/provision-machine", "/provision-machine"],
    ["https://x.example.com/provision-machine/health?a=/b#c", "/provision-machine/health"],
    ["http://localhost", "/"],
    ["http://a b:x/provision-machine/m?x", "/provision-machine/m"],
    ["http://[::/provision-machine#x", "/provision-machine"],
    ["http://a b", "/"],
    ["http://a b?x=/y", "/"],
    ["", "/"],
  ];
  for (const [url, path] of cases) assert.equal(pathOf({ url }), path, url);
});

Deno.test("headers: a trace context is taken as the standard defines it", () => {
  const parse = (traceparent: string) => traceContextOf(new Headers({ traceparent }));
  assert.deepEqual(parse(`00-${TRACE_ID}-${PARENT_ID}-01`), { traceId: TRACE_ID, flags: "01" });
  assert.deepEqual(parse(` 00-${TRACE_ID}-${PARENT_ID}-00 `), { traceId: TRACE_ID, flags: "00" });
  assert.equal(traceContextOf(new Headers()), undefined);
  const malformed = [
    "nonsense",
    `00-${TRACE_ID}-${PARENT_ID}`,
    `01-${TRACE_ID}-${PARENT_ID}-01`,
    `00-${"0".repeat(32)}-${PARENT_ID}-01`,
    `00-${TRACE_ID}-${"0".repeat(16)}-01`,
    `00-${TRACE_ID.toUpperCase()}-${PARENT_ID}-01`,
    `00-${TRACE_ID}-${PARENT_ID}-01-more`,
    `x00-${TRACE_ID}-${PARENT_ID}-01`,
    `00-${TRACE_ID.slice(1)}-${PARENT_ID}-01`,
  ];
  for (const traceparent of malformed) assert.equal(parse(traceparent), undefined, traceparent);
});

Deno.test("headers: calls of the request carry its trace and a span of their own", () => {
  const bytes = Uint8Array.of(0, 1, 15, 16, 170, 187, 204, 255, 99);
  assert.equal(
    childTraceparent({ traceId: TRACE_ID, flags: "01" }, bytes),
    `00-${TRACE_ID}-00010f10aabbccff-01`,
  );
});

Deno.test("headers: an Idempotency-Key is 1 to 255 visible ASCII characters", () => {
  const keyOf = (key: string) => idempotencyKeyOf(new Headers({ "idempotency-key": key }));
  assert.equal(idempotencyKeyOf(new Headers()), null);
  for (const key of ["a", "!~", "order-42/retry:1", "k".repeat(255)]) assert.equal(keyOf(key), key);
  const error = "Idempotency-Key must be 1 to 255 visible ASCII characters";
  for (const key of ["", "k".repeat(256), "two words", "tab\there", "kéy", "\x7f"]) {
    assert.throws(() => keyOf(key), (thrown) => {
      assert.ok(thrown instanceof AppError);
      assert.equal(thrown.code, "invalid_request");
      assert.equal(thrown.message, error);
      assert.deepEqual(thrown.fields, { issues: [{ path: "Idempotency-Key", message: error }] });
      return true;
    }, key);
  }
});

Deno.test("headers: Prefer asks for an early answer with respond-async alone", () => {
  const asks = (prefer: string) => prefersAsync(new Headers({ prefer }));
  for (
    const prefer of [
      "respond-async",
      "Respond-Async",
      "wait=10, respond-async",
      "respond-async; x=1",
    ]
  ) {
    assert.equal(asks(prefer), true, prefer);
  }
  for (
    const prefer of ["", "wait=10", "no-respond-async", "respond-async=true", "return=minimal"]
  ) {
    assert.equal(asks(prefer), false, prefer);
  }
  assert.equal(prefersAsync(new Headers()), false);
});
