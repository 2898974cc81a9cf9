/** CORS: which origins an answer names, and what a preflight allows. */
import assert from "node:assert/strict";
import { corsHeaders as libraryHeaders } from "@supabase/supabase-js/cors";
import { corsHeaders, preflight } from "../../supabase/functions/provision-machine/http/cors.ts";

const APP = "https://app.example.com";
const ADMIN = "https://admin.example.com:8443";

const COMMON = {
  "access-control-allow-methods": "GET, POST, DELETE, OPTIONS",
  "access-control-allow-headers":
    "authorization, apikey, content-type, x-client-info, x-supabase-api-version, x-region, " +
    "x-retry-count, idempotency-key, prefer, x-request-id, traceparent, tracestate, baggage",
  "access-control-expose-headers":
    "x-request-id, retry-after, idempotency-replayed, preference-applied, allow",
};

function headersFor(origin: string | null, allowed: string[]): Record<string, string> {
  const headers = origin === null ? {} : { origin };
  return corsHeaders(new Request("http://localhost/provision-machine", { headers }), allowed);
}

Deno.test("cors: * allows everyone, and the answer does not vary", () => {
  for (const origin of [null, APP, "null"]) {
    for (const allowed of [["*"], [APP, "*"]]) {
      assert.deepEqual(headersFor(origin, allowed), {
        ...COMMON,
        "access-control-allow-origin": "*",
      });
    }
  }
});

Deno.test("cors: an origin of the list is named, any other is not", () => {
  const cases: [origin: string | null, named: string][] = [
    [APP, APP],
    [ADMIN, ADMIN],
    [null, APP],
    ["null", APP],
    ["https://evil.example.net", APP],
    [`${APP}.evil.example.net`, APP],
    [`${APP}:1`, APP],
    ["http://app.example.com", APP],
    ["HTTPS://APP.EXAMPLE.COM", APP],
    ["https://", APP],
  ];
  for (const [origin, named] of cases) {
    assert.deepEqual(
      headersFor(origin, [APP, ADMIN]),
      { ...COMMON, "access-control-allow-origin": named, vary: "Origin" },
      String(origin),
    );
  }
});

Deno.test("cors: no allowed origin, no origin named", () => {
  assert.deepEqual(headersFor(APP, []), { ...COMMON, vary: "Origin" });
});

Deno.test("cors: a preflight is empty and may be kept for a day", () => {
  const response = preflight();
  assert.equal(response.status, 204);
  assert.equal(response.body, null);
  assert.deepEqual([...response.headers], [["access-control-max-age", "86400"]]);
});

Deno.test("cors: every header that supabase-js may send is allowed", () => {
  const allowed = COMMON["access-control-allow-headers"].split(", ");
  // `x-region` is sent by functions.invoke with { region }, and is not on the library's list.
  const sent = [...(libraryHeaders["Access-Control-Allow-Headers"] ?? "").split(", "), "x-region"];
  assert.ok(sent.includes("apikey"));
  assert.deepEqual(sent.filter((header) => !allowed.includes(header)), []);
});
