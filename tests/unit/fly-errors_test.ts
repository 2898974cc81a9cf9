/** Errors of the Fly Machines API: what each means, and whether the call may have taken effect. */
import assert from "node:assert/strict";
import {
  FlyError,
  type FlyErrorKind,
} from "../../supabase/functions/provision-machine/fly/errors.ts";

interface Case {
  kind?: FlyErrorKind;
  status?: number;
  body?: string;
  code: string;
  mayHaveTakenEffect?: boolean;
  nameIsTaken?: boolean;
}

const TAKEN =
  '{"error":"already_exists: unique machine name violation, machine ID 4d89640 has it"}';

const CASES: Case[] = [
  { kind: "network", code: "fly_unavailable", mayHaveTakenEffect: true },
  { kind: "timeout", code: "fly_unavailable", mayHaveTakenEffect: true },
  { kind: "body", status: 200, code: "fly_invalid_response", mayHaveTakenEffect: true },
  {
    kind: "body",
    status: 200,
    body: "no capacity",
    code: "fly_invalid_response",
    mayHaveTakenEffect: true,
  },
  { status: 401, code: "fly_unauthorized" },
  { status: 403, code: "fly_unauthorized" },
  { status: 429, code: "fly_rate_limited" },
  { status: 408, code: "fly_unavailable", mayHaveTakenEffect: true },
  { status: 500, code: "fly_unavailable", mayHaveTakenEffect: true },
  { status: 503, code: "fly_unavailable", mayHaveTakenEffect: true },
  { status: 599, code: "fly_unavailable", mayHaveTakenEffect: true },
  { status: 400, code: "fly_rejected" },
  { status: 404, code: "fly_rejected" },
  { status: 409, code: "fly_rejected" },
  { status: 422, body: "invalid image", code: "fly_rejected" },
  // The body decides, not the number.
  { status: 409, body: "insufficient_capacity", code: "fly_capacity" },
  { status: 412, body: "Insufficient resources available", code: "fly_capacity" },
  { status: 422, body: "insufficient memory", code: "fly_capacity" },
  { status: 422, body: "insufficient CPUs", code: "fly_capacity" },
  { status: 503, body: "no capacity in iad", code: "fly_capacity" },
  { status: 422, body: "insufficient permissions", code: "fly_rejected" },
  {
    status: 409,
    body: TAKEN,
    code: "fly_unavailable",
    mayHaveTakenEffect: true,
    nameIsTaken: true,
  },
  {
    status: 409,
    body: "the machine already exists",
    code: "fly_unavailable",
    mayHaveTakenEffect: true,
    nameIsTaken: true,
  },
  {
    status: 409,
    body: "name_taken",
    code: "fly_unavailable",
    mayHaveTakenEffect: true,
    nameIsTaken: true,
  },
  { status: 409, body: "already exists; no capacity", code: "fly_capacity" },
  {
    status: 422,
    body: "Validation failed: Name has already been taken",
    code: "fly_unavailable",
    mayHaveTakenEffect: true,
    nameIsTaken: true,
  },
];

Deno.test("fly errors: the code, whether a lookup is needed, whether the name is taken", () => {
  for (const { kind = "status", status, body, code, ...flags } of CASES) {
    const error = new FlyError(kind, "failed", { status, body });
    assert.deepEqual(
      {
        code: error.code,
        mayHaveTakenEffect: error.mayHaveTakenEffect,
        nameIsTaken: error.nameIsTaken,
      },
      {
        mayHaveTakenEffect: false,
        nameIsTaken: false,
        ...flags,
        code,
      },
      `${kind} ${status} ${body}`,
    );
  }
});

Deno.test("fly errors: what the answer said is kept", () => {
  const cause = new Error("reset");
  const error = new FlyError("status", "Fly.io answered 503", {
    status: 503,
    statusText: "Service Unavailable",
    method: "POST",
    body: "{}",
    flyRequestId: "01J-iad",
    retryAfterMs: 2_000,
    cause,
  });
  const { message, status, statusText, method, body, flyRequestId, retryAfterMs, attempt } = error;
  assert.deepEqual(
    { message, status, statusText, method, body, flyRequestId, retryAfterMs, attempt },
    {
      message: "Fly.io answered 503",
      status: 503,
      statusText: "Service Unavailable",
      method: "POST",
      body: "{}",
      flyRequestId: "01J-iad",
      retryAfterMs: 2_000,
      attempt: 1,
    },
  );
  assert.equal(error.cause, cause);
  const unanswered = new FlyError("network", "no route");
  assert.deepEqual([unanswered.status, unanswered.flyRequestId], [undefined, null]);
});
