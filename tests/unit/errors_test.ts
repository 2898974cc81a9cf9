/** Errors: the status, the advice and the Retry-After of each code, and what becomes of a throw. */
import assert from "node:assert/strict";
import {
  AppError,
  CODES,
  type ErrorCode,
  isProvisioningErrorCode,
  isRowErrorCode,
  operatorHint,
  toAppError,
} from "../../supabase/functions/provision-machine/errors.ts";

/** Status, retry and Retry-After of every code, as the API promises them. */
const PROMISED: Record<
  ErrorCode,
  [status: number, retry: "new_key" | "no", retryAfterSeconds?: number]
> = {
  invalid_request: [400, "no"],
  unauthorized: [401, "no"],
  forbidden: [403, "no"],
  not_found: [404, "no"],
  method_not_allowed: [405, "no"],
  machine_limit_reached: [409, "no"],
  machine_state_conflict: [409, "no"],
  payload_too_large: [413, "no"],
  unsupported_media_type: [415, "no"],
  idempotency_key_reused: [422, "new_key"],
  too_many_requests: [429, "new_key"],
  fleet_full: [503, "new_key", 60],
  provisioning_paused: [503, "no"],
  configuration_error: [500, "no"],
  database_error: [500, "new_key", 10],
  fly_unauthorized: [500, "no"],
  fly_rate_limited: [500, "new_key", 5],
  fly_capacity: [500, "new_key", 60],
  fly_account_limit: [500, "no"],
  fly_rejected: [500, "no"],
  fly_unavailable: [500, "new_key", 10],
  fly_invalid_response: [500, "new_key", 10],
  machine_failed: [500, "new_key"],
  provision_timeout: [500, "new_key", 10],
  internal_error: [500, "new_key"],
};

const codes = Object.keys(PROMISED) as ErrorCode[];

Deno.test("errors: every code has its status, its retry, its Retry-After and advice for the caller", () => {
  assert.deepEqual(Object.keys(CODES).sort(), [...codes].sort());
  for (const code of codes) {
    const error = new AppError(code, "What happened");
    assert.deepEqual(
      [error.status, error.retry, error.retryAfterSeconds],
      [PROMISED[code][0], PROMISED[code][1], PROMISED[code][2]],
      code,
    );
    assert.equal(error.message, "What happened");
    assert.equal(error.hint, CODES[code].callerHint);
    assert.notEqual(error.hint, "");
    assert.deepEqual([error.fields, error.headers], [{}, {}]);
  }
});

Deno.test("errors: a row can hold what answers 500, and what only reconcile writes", () => {
  for (const code of codes) {
    assert.equal(isProvisioningErrorCode(code), PROMISED[code][0] === 500, code);
    assert.equal(isRowErrorCode(code), PROMISED[code][0] === 500, code);
  }
  for (const code of ["interrupted", "machine_lost"] as const) {
    assert.equal(isProvisioningErrorCode(code), false);
    assert.equal(isRowErrorCode(code), true);
    assert.notEqual(operatorHint(code), "");
  }
  for (const code of ["constructor", "toString", "", "some_new_code"]) {
    assert.equal(isRowErrorCode(code), false, code);
  }
});

Deno.test("errors: what is said of one failure goes before what is known of its code", () => {
  const cause = new Error("cause");
  const details = {
    hint: "Wait",
    retryAfterSeconds: 3,
    retry: "same_key" as const,
    fields: { issues: [] },
    headers: { allow: "GET" },
    cause,
  };
  const { hint, retryAfterSeconds, retry, fields, headers, cause: kept } = new AppError(
    "fly_capacity",
    "No room",
    details,
  );
  assert.deepEqual({ hint, retryAfterSeconds, retry, fields, headers, cause: kept }, details);
});

Deno.test("errors: a Retry-After of its own makes a later try worth it", () => {
  for (const code of ["fly_rejected", "machine_limit_reached", "fly_unavailable"] as const) {
    assert.equal(new AppError(code, "", { retryAfterSeconds: 60 }).retry, "new_key", code);
  }
  for (const code of codes) {
    assert.ok(CODES[code].retry === "new_key" || CODES[code].retryAfterSeconds === undefined, code);
  }
});

Deno.test("errors: with() changes what is named, and keeps everything else", () => {
  const cause = new Error("cause");
  const original = new AppError("fly_capacity", "No room", {
    fields: { a: 1 },
    headers: { allow: "GET" },
    retryAfterSeconds: 3,
    retry: "same_key",
    cause,
  });
  const changed = original.with({ hint: "Wait" });
  assert.notEqual(changed, original);
  const { code, message, hint, fields, headers, retryAfterSeconds, retry } = changed;
  assert.deepEqual({ code, message, hint, fields, headers, retryAfterSeconds, retry }, {
    code: "fly_capacity",
    message: "No room",
    hint: "Wait",
    fields: { a: 1 },
    headers: { allow: "GET" },
    retryAfterSeconds: 3,
    retry: "same_key",
  });
  assert.equal(changed.cause, cause);
  const more = original.with({ headers: { "x-more": "1" }, retryAfterSeconds: 9 });
  assert.deepEqual([more.hint, more.headers, more.retryAfterSeconds], [
    original.hint,
    { "x-more": "1" },
    9,
  ]);
  // Without a cause, the stack that the log shows is the original's.
  const bare = new AppError("not_found", "Nothing here");
  assert.equal(bare.with({ hint: "Look elsewhere" }).cause, bare);
});

Deno.test("errors: what was not foreseen is internal_error, and keeps its own words to the log", () => {
  const known = new AppError("not_found", "Nothing here");
  assert.equal(toAppError(known), known);
  for (const thrown of [new TypeError("secret insides"), "secret insides", undefined, null]) {
    const error = toAppError(thrown);
    assert.deepEqual([error.code, error.message], [
      "internal_error",
      "An unexpected error happened",
    ]);
    assert.equal(error.cause, thrown);
    assert.ok(!`${error.message} ${error.hint}`.includes("insides"));
  }
});
