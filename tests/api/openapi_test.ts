/** GET /openapi.json: the committed description is current, served to anyone, and says what is true. */
import assert from "node:assert/strict";
import { resolve } from "node:path";
import { SCHEMAS } from "../../dev/openapi/schemas.ts";
import { driftOf } from "../../dev/tasks/generated-file.ts";
import { OPENAPI_FILE } from "../../dev/tasks/openapi.ts";
import { OPENAPI } from "../../supabase/functions/provision-machine/openapi/document.ts";
import { parseProvisionRequest } from "../../supabase/functions/provision-machine/provision/parse-request.ts";
import { type AnsweredCall, undeclared } from "../support/openapi.ts";
import { startStack } from "../support/stack.ts";

const PROJECT_ROOT = resolve(import.meta.dirname ?? ".", "../..");
const USER = "79e40c90-acb0-433f-8865-4c07f9cde788";

Deno.test("the committed description is that of the routes, schemas and codes", async () => {
  const drift = await driftOf(OPENAPI_FILE, PROJECT_ROOT);
  assert.ok(drift === null, `run \`deno task openapi\`\n${drift}`);
});

Deno.test("anyone gets the description, whole", async () => {
  await using stack = await startStack();
  const answer = await stack.call(null, { method: "GET", path: "/openapi.json" });
  assert.equal(answer.status, 200);
  assert.deepEqual(answer.body, JSON.parse(JSON.stringify(OPENAPI)));
  assert.match(answer.headers.get("content-type") ?? "", /^application\/json/);
});

Deno.test("every reference of the description leads somewhere", () => {
  const text = JSON.stringify(OPENAPI);
  const found = [...text.matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path = ""]) => path);
  assert.ok(found.length > 100);
  for (const path of new Set(found)) {
    const target = path.split("/").reduce<unknown>(
      (node, key) => Object(node)[key],
      OPENAPI,
    );
    assert.notEqual(target, undefined, path);
  }
});

Deno.test("the description of a request is what the function accepts", () => {
  const bodies: unknown[] = [
    {},
    { region: "iad" },
    { region: "iad".repeat(22) },
    { region: 1 },
    { userId: USER },
    { userId: USER.toUpperCase() },
    { userId: "me" },
    { cpuPriority: "low" },
    { cpuPriority: "normal" },
    { cpuPriority: "high" },
    { cpuPriority: "Low" },
    { cpu: 1 },
    [],
    null,
    "iad",
  ];
  const caller = { kind: "user", userId: USER, anonymous: false } as const;
  const accepted = bodies.filter((body) => SCHEMAS.ProvisionRequest.safeParse(body).success);
  const parsed = bodies.filter((body) => {
    try {
      parseProvisionRequest(body, caller, { regions: ["iad"] });
      return true;
    } catch {
      return false;
    }
  });
  assert.deepEqual(accepted, parsed);
  assert.equal(accepted.length, 7);
});

Deno.test("what the description does not declare is found", () => {
  const error = {
    error: "No",
    message: "No",
    code: "unauthorized",
    retry: "no",
    machineId: null,
    requestId: "r",
  };
  const call = {
    method: "DELETE",
    path: "/provision-machine/machine-1",
    status: 401,
    headers: new Headers({ "content-type": "application/json; charset=utf-8" }),
    body: error,
  };
  assert.deepEqual(undeclared(call), []);
  const wrong: [what: string, change: Partial<AnsweredCall>][] = [
    ["a field", { body: { ...error, hint: "" } }],
    ["a missing field", { body: { ...error, retry: undefined } }],
    ["a code of another status", { body: { ...error, code: "fly_capacity" } }],
    ["an unknown code", { body: { ...error, code: "teapot" } }],
    ["same_key for a refusal", { body: { ...error, retry: "same_key" } }],
    ["a status", { status: 418 }],
    ["a code of another route", { status: 409, body: { ...error, code: "machine_limit_reached" } }],
    ["a media type", { headers: new Headers({ "content-type": "text/html" }) }],
    ["a header", { headers: new Headers([...call.headers, ["x-inside", "1"]]) }],
    ["an error where no route is", { path: "/provision-machine/a/b" }],
  ];
  for (const [what, change] of wrong) {
    assert.equal(undeclared({ ...call, ...change }).length, 1, what);
  }
});
