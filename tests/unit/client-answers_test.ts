/** The client's reading of answers: what describes a machine, and what does not. */
import assert from "node:assert/strict";
import { z } from "zod";
import { toMachine } from "../../client/src/answers.ts";
import { failed, toError } from "../../client/src/errors.ts";
import { errorSchema } from "../../dev/openapi/errors.ts";
import { CODES, type ErrorCode } from "../../supabase/functions/provision-machine/errors.ts";

const ANSWER = {
  machineId: "machine-1",
  websocketUrl: "wss://example.com",
  status: "provisioning",
  message: "Machine provisioning started",
  region: "iad",
  flyMachineId: null,
  requestId: "request-1",
};
const read = (changes: Record<string, unknown>) =>
  toMachine({ body: { ...ANSWER, ...changes }, headers: new Headers() });

Deno.test("a machine has no address yet only while it is provisioned", () => {
  assert.equal(read({}).websocketUrl, "wss://example.com");
  assert.equal(read({ websocketUrl: null }).websocketUrl, null);
  const broken = [{ status: "running", websocketUrl: null }, { region: 1 }, { status: "gone" }];
  for (const changes of broken) {
    assert.throws(() => read(changes), { code: "unexpected_response", retry: "same_key" });
  }
});

Deno.test("the answer's retry says whether the outcome is known, whatever its words are", () => {
  const answer = {
    error: "",
    message: "send the same key again",
    code: "provision_timeout",
    requestId: "request-1",
  };
  const read = (retry: unknown) =>
    toError(new Response(null, { status: 500 }), { ...answer, retry }, "key-1");
  for (const retry of ["same_key", "new_key", "no"] as const) {
    const error = read(retry);
    assert.equal(error.retry, retry);
  }
  for (const unknown of [undefined, "later"]) assert.equal(read(unknown).retry, "no");
});

Deno.test("without an answer of the function the outcome is not known", () => {
  // https://supabase.com/docs/guides/functions/status-codes
  for (const body of [null, { code: "WORKER_LIMIT", message: "not enough compute resources" }]) {
    const gateway = toError(new Response(null, { status: 546 }), body, "key-1");
    assert.deepEqual([gateway.code, gateway.retry], ["unexpected_response", "same_key"]);
    assert.deepEqual([gateway.status, gateway.idempotencyKey], [546, "key-1"]);
  }
  assert.equal(failed("").retry, "same_key");
});

Deno.test("an error has every field of its answer", () => {
  const answer = {
    error: "what happened",
    message: "what to do",
    code: "machine_limit_reached",
    retry: "new_key",
    machineId: "machine-1",
    websocketUrl: "wss://example.com",
    status: "destroying",
    requestId: "request-1",
    issues: [{ path: "region", message: "is unknown" }],
    added: "later",
  };
  const response = new Response(null, { status: 409, headers: { "retry-after": "5" } });
  const { message, hint, ...error } = toError(response, answer, undefined);
  assert.deepEqual([message, hint], [answer.error, answer.message]);
  assert.deepEqual(error, {
    name: "ProvisionMachineError",
    code: answer.code,
    status: 409,
    requestId: answer.requestId,
    retry: answer.retry,
    retryAfterSeconds: 5,
    idempotencyKey: null,
    machineId: answer.machineId,
    machineStatus: answer.status,
    websocketUrl: answer.websocketUrl,
    issues: answer.issues,
    answer,
  });
});

Deno.test("a code that only a newer service has stays what it is", () => {
  const answer = { code: "brand_new", retry: "no", requestId: "request-1" };
  const error = toError(new Response(null, { status: 500 }), answer, undefined);
  assert.deepEqual([error.code, error.retry, error.message], ["brand_new", "no", "brand_new"]);
});

/** Where the client's error has each field of an answer. */
const FIELDS: Record<string, string> = {
  error: "message",
  message: "hint",
  code: "code",
  retry: "retry",
  machineId: "machineId",
  requestId: "requestId",
  issues: "issues",
  status: "machineStatus",
  websocketUrl: "websocketUrl",
};

Deno.test("every field that the API's description declares for an error is one of the client's", () => {
  const error = failed("");
  for (const field of Object.values(FIELDS)) assert.ok(field in error, field);
  const isCode = (code: string): code is ErrorCode => Object.hasOwn(CODES, code);
  for (const code of Object.keys(CODES).filter(isCode)) {
    const { properties = {} } = z.toJSONSchema(errorSchema(code));
    assert.ok("requestId" in properties);
    for (const field of Object.keys(properties)) {
      assert.ok(field in FIELDS, `the client's error lacks ${field} of ${code}`);
    }
  }
});
