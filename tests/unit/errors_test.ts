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

/** Status and Retry-After of every code, as the API promises them. */
const PROMISED: Record<ErrorCode, [status: number, retryAfterSeconds?: number]> = {
  invalid_request: [400],
  unauthorized: [401],
  forbidden: [403],
  not_found: [404],
  method_not_allowed: [405],
  machine_limit_reached: [409],
  machine_state_conflict: [409],
  payload_too_large: [413],
  unsupported_media_type: [415],
  idempotency_key_reused: [422],
  too_many_requests: [429],
  fleet_full: [503, 60],
  provisioning_paused: [503],
  configuration_error: [500],
  database_error: [500, 10],
  fly_unauthorized: [500],
  fly_rate_limited: [500, 5],
  fly_capacity: [500, 60],
  fly_account_limit: [500],
  fly_rejected: [500],
  fly_unavailable: [500, 10],
  fly_invalid_response: [500, 10],
  machine_failed: [500],
  provision_timeout: [500, 10],
  internal_error: [500],
};

const codes = Object.keys(PROMISED) as ErrorCode[];

Deno.test("errors: every code has its status, its Retry-After and advice for the caller", () => {
  assert.deepEqual(Object.keys(CODES).sort(), [...codes].sort());
  for (const code of codes) {
    const error = new AppError(code, "What happened");
    assert.deepEqual(
      [error.status, error.retryAfterSeconds],
      [PROMISED[code][0], PROMISED[code][1]],
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
    fields: { issues: [] },
    headers: { allow: "GET" },
    cause,
  };
  const { hint, retryAfterSeconds, fields, headers, cause: kept } = new AppError(
    "fly_capacity",
    "No room",
    details,
  );
  assert.deepEqual({ hint, retryAfterSeconds, fields, headers, cause: kept }, details);
});

Deno.test("errors: with() changes what is named, and keeps everything else", () => {
  const cause = new Error("cause");
  const original = new AppError("fly_capacity", "No room", {
    fields: { a: 1 },
    headers: { allow: "GET" },
    retryAfterSeconds: 3,
    cause,
  });
  const changed = original.with({ hint: "Wait" });
  assert.notEqual(changed, original);
  const { code, message, hint, fields, headers, retryAfterSeconds } = changed;
  assert.deepEqual({ code, message, hint, fields, headers, retryAfterSeconds }, {
    code: "fly_capacity",
    message: "No room",
    hint: "Wait",
    fields: { a: 1 },
    headers: { allow: "GET" },
    retryAfterSeconds: 3,
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
