/** What every answer must look like, whatever was sent: for the tests of bad input. */
import assert from "node:assert/strict";
import { CALLER_CODES } from "../../supabase/functions/provision-machine/errors.ts";

const STATUS_OF_CODE: Record<string, number> = Object.fromEntries(
  Object.entries(CALLER_CODES).map(([code, { status }]) => [code, status]),
);
const REQUEST_ID = /^[A-Za-z0-9_.-]{1,128}$/;
/** A line of a stack, or the name of a source file. */
const INSIDES = /\n\s+at |\bat \S+ \(|\.ts\b|node_modules|ext:|file:\/\//;

/** An answer as it came. */
export interface RawAnswer {
  status: number;
  headers: Headers;
  text: string;
}

/** Asserts that a caller's mistake is answered as the contract says: never with a 5xx. */
export function assertTruthfulAnswer(
  { status, headers, text }: RawAnswer,
  secrets: string[],
): void {
  const shown = `${status}: ${text}`;
  assert.ok(status >= 200 && status < 500, shown);
  for (const name of ["allow-origin", "allow-methods", "allow-headers", "expose-headers"]) {
    assert.ok(headers.get(`access-control-${name}`), `access-control-${name} of ${shown}`);
  }
  assert.match(headers.get("x-request-id") ?? "", REQUEST_ID, shown);
  for (const secret of secrets) assert.ok(!text.includes(secret), `a secret in ${shown}`);
  if (status === 204) return assert.equal(text, "");
  if (headers.get("content-type")?.startsWith("text/plain; version=")) return;
  assert.match(
    headers.get("content-type") ?? "",
    /^application\/(health\+)?json(; charset=utf-8)?$/,
    shown,
  );
  const body = JSON.parse(text);
  if (status >= 400) assertError(status, headers, body, shown);
}

// deno-lint-ignore no-explicit-any -- a test may read any field
function assertError(status: number, headers: Headers, body: any, shown: string): void {
  assert.equal(STATUS_OF_CODE[body.code], status, shown);
  assert.equal(body.requestId, headers.get("x-request-id"), shown);
  assert.ok(body.machineId === null || typeof body.machineId === "string", shown);
  for (const field of ["error", "message"]) {
    assert.ok(typeof body[field] === "string" && body[field] !== "", shown);
    assert.doesNotMatch(body[field], INSIDES, shown);
  }
  if (body.code === "invalid_request") {
    assert.ok(Array.isArray(body.issues) && body.issues.length > 0, shown);
    for (const { path, message } of body.issues) {
      assert.ok(typeof path === "string" && typeof message === "string", shown);
    }
  }
  if (status === 401) assert.equal(headers.get("www-authenticate"), "Bearer", shown);
  if (status === 405) assert.match(headers.get("allow") ?? "", /OPTIONS/, shown);
}
