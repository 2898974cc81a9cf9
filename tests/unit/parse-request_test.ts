/** The body of POST: what is taken for whom, and each refusal with its issues. */
import assert from "node:assert/strict";
import { AppError } from "../../supabase/functions/provision-machine/errors.ts";
import { parseProvisionRequest } from "../../supabase/functions/provision-machine/provision/parse-request.ts";

const USER_ID = "0b8f6a4e-3c1d-4f5a-9b7e-2d1c0a9f8e7d";
const OTHER_ID = "11111111-2222-4333-8444-555555555555";
const USER = { kind: "user", userId: USER_ID, anonymous: false } as const;
const SERVICE = { kind: "service" } as const;
const REGIONS = ["iad", "ams"];

const parse = (body: unknown, regions: string[] | null = REGIONS) =>
  parseProvisionRequest(body, USER, { regions });

function refusal(run: () => unknown): AppError {
  try {
    run();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  assert.fail("nothing was refused");
}

Deno.test("parse request: what is taken, with its defaults", () => {
  const cases: [body: unknown, parsed: object][] = [
    [{}, { userId: USER_ID, region: null, cpuPriority: "normal" }],
    [{ region: "ams" }, { userId: USER_ID, region: "ams", cpuPriority: "normal" }],
    [{ cpuPriority: "high" }, { userId: USER_ID, region: null, cpuPriority: "high" }],
    [
      { userId: USER_ID.toUpperCase(), region: "iad", cpuPriority: "low" },
      { userId: USER_ID, region: "iad", cpuPriority: "low" },
    ],
  ];
  for (const [body, parsed] of cases) assert.deepEqual(parse(body), parsed);
});

Deno.test("parse request: each mistake is an issue with its path", () => {
  const region = { path: "region", message: "expected one of iad, ams" };
  const cpu = { path: "cpuPriority", message: "expected one of low, normal, high" };
  const uuid = { path: "userId", message: "expected a UUID" };
  const exact: [body: unknown, issues: object[]][] = [
    [[], [{ path: "", message: "expected a JSON object" }]],
    [null, [{ path: "", message: "expected a JSON object" }]],
    ["iad", [{ path: "", message: "expected a JSON object" }]],
    [[{}], [{ path: "", message: "expected a JSON object" }]],
    [7, [{ path: "", message: "expected a JSON object" }]],
    [true, [{ path: "", message: "expected a JSON object" }]],
    [{ size: "xl" }, [{ path: "", message: "Unrecognized key(s) in object: 'size'" }]],
    [{ region: "xyz" }, [region]],
    [{ region: "IAD" }, [region]],
    [{ region: "" }, [region]],
    [{ cpuPriority: "turbo" }, [cpu]],
    [{ cpuPriority: "HIGH" }, [cpu]],
    [{ cpuPriority: "constructor" }, [cpu]],
    [{ userId: "me" }, [uuid]],
    [{ userId: "me", cpuPriority: "turbo" }, [uuid, cpu]],
  ];
  for (const [body, issues] of exact) {
    const error = refusal(() => parse(body));
    assert.equal(error.code, "invalid_request");
    assert.deepEqual(error.fields, { issues }, JSON.stringify(body));
  }
  const paths: [body: unknown, paths: string[]][] = [
    [{ UserId: "x", cpupriority: "low" }, [""]],
    [{ constructor: { prototype: {} } }, [""]],
    [JSON.parse('{"__proto__":{"cpuPriority":"high"}}'), [""]],
    [{ userId: null }, ["userId"]],
    [{ region: null }, ["region"]],
    [{ region: ["iad"] }, ["region"]],
    [{ region: "i".repeat(65) }, ["region"]],
    [{ cpuPriority: null }, ["cpuPriority"]],
    [{ userId: 7, cpuPriority: 7, region: 7 }, ["userId", "region", "cpuPriority"]],
  ];
  for (const [body, expected] of paths) {
    const { issues } = refusal(() => parse(body)).fields;
    assert.ok(Array.isArray(issues));
    assert.deepEqual(issues.map(({ path }) => path), expected, JSON.stringify(body));
  }
});

Deno.test("parse request: the error repeats every issue in one sentence", () => {
  assert.equal(
    refusal(() => parse({ userId: "me", cpuPriority: "turbo" })).message,
    "The request is not valid: userId: expected a UUID; cpuPriority: expected one of low, normal, high",
  );
  assert.equal(
    refusal(() => parse([])).message,
    "The request is not valid: expected a JSON object",
  );
});

Deno.test("parse request: with a broken FLY_REGIONS any code of three letters is taken", () => {
  assert.equal(parse({ region: "xyz" }, null).region, "xyz");
  for (const region of ["IAD", "iad ", "virginia", "i-d", ""]) {
    assert.deepEqual(refusal(() => parse({ region }, null)).fields, {
      issues: [{ path: "region", message: "expected a region code of three letters" }],
    });
  }
});

Deno.test("parse request: a service names the user, a user can only be themselves", () => {
  const forService = (body: unknown) => parseProvisionRequest(body, SERVICE, { regions: REGIONS });
  assert.equal(forService({ userId: OTHER_ID }).userId, OTHER_ID);
  const error = refusal(() => forService({}));
  assert.equal(error.code, "invalid_request");
  assert.deepEqual(error.fields, {
    issues: [{ path: "userId", message: "a service must say for which user" }],
  });
  assert.equal(refusal(() => parse({ userId: OTHER_ID })).code, "forbidden");
});
