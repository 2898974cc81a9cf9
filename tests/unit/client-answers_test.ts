/** The client's reading of answers: what describes a machine, and what does not. */
import assert from "node:assert/strict";
import { toMachine } from "../../client/answers.ts";

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
