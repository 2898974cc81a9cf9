/** The client's reading of answers: what describes a machine, and what does not. */
import assert from "node:assert/strict";
import { toMachine } from "../../client/answers.ts";
import { ProvisionMachineError, toError } from "../../client/errors.ts";

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
  toMachine({ ...ANSWER, ...changes }, new Headers());

Deno.test("a machine has no address yet only while it is provisioned", () => {
  assert.equal(read({}).websocketUrl, "wss://example.com");
  assert.equal(read({ websocketUrl: null }).websocketUrl, null);
  for (const broken of [{ status: "running", websocketUrl: null }, { websocketUrl: undefined }]) {
    assert.throws(() => read(broken), { code: "unexpected_response" });
  }
});

Deno.test("the answer's retry says whether the outcome is known, whatever its words are", () => {
  const answer = { error: "", message: "send the same key again", code: "provision_timeout" };
  const read = (retry: unknown) =>
    toError(new Response(null, { status: 500 }), { ...answer, retry }, "key-1");
  for (const retry of ["same_key", "new_key", "no"] as const) {
    const error = read(retry);
    assert.equal(error.retry, retry);
    assert.equal(error.outcomeUnknown, retry === "same_key");
  }
  for (const unknown of [undefined, "later"]) assert.equal(read(unknown).retry, "no");
});

Deno.test("without an answer of the function the outcome is not known", () => {
  const gateway = toError(new Response(null, { status: 502 }), null, "key-1");
  assert.deepEqual([gateway.code, gateway.retry], ["unexpected_response", "same_key"]);
  assert.equal(new ProvisionMachineError("network_error", "").retry, "same_key");
});
