/** Every variable of the environment: missing, malformed, blank. */
import assert from "node:assert/strict";
import { configurationError } from "../../supabase/functions/provision-machine/config/problems.ts";
import {
  ENVIRONMENT,
  parseEnvironment,
  type Settings,
  type VariableName,
} from "../../supabase/functions/provision-machine/config/environment.ts";
import { assertError, assertFailedRow } from "../support/expectations.ts";
import { FLY_REGIONS } from "../../dev/stack/fly/mod.ts";
import { type Answer, type Stack, startStack } from "../support/stack.ts";
import type { RunningFunction } from "../support/running-function.ts";

const VALID: Record<string, string> = {
  SUPABASE_URL: "https://abcdefghijklmnopqrst.supabase.co",
  SUPABASE_SECRET_KEYS: '{"default":"sb_secret_0123456789"}',
  FLY_API_TOKEN: "fo1_0123456789",
  FLY_APP_NAME: "my-app",
  DOCKER_IMAGE: "registry.fly.io/my-app:latest",
};

const REQUIRED = ["SUPABASE_URL", "FLY_API_TOKEN", "FLY_APP_NAME", "DOCKER_IMAGE"] as const;

/** What the contract's table says for a variable that is not set. */
const DEFAULTS: Omit<Settings, (typeof REQUIRED)[number]> = {
  SUPABASE_SECRET_KEYS: undefined,
  SUPABASE_SERVICE_ROLE_KEY: undefined,
  FLY_API_HOSTNAME: "https://api.machines.dev",
  FLY_REGION: "iad",
  FLY_REGIONS: [...FLY_REGIONS],
  FLY_REGION_FALLBACK: false,
  MACHINE_PORT: 8080,
  MACHINE_ENV: {},
  WEBSOCKET_URL_TEMPLATE: "wss://{app}.fly.dev/machines/{machineId}",
  MAX_MACHINES_PER_USER: 1,
  PROVISION_TIMEOUT_SECONDS: 120,
  FLY_REQUEST_TIMEOUT_SECONDS: 30,
  FLY_RATE_PER_SECOND: 1,
  FLY_RATE_BURST: 3,
  ALERT_WEBHOOK_URL: undefined,
  ALERT_FAILURE_THRESHOLD: 3,
  ALERT_WINDOW_MINUTES: 10,
  ALERT_COOLDOWN_MINUTES: 30,
  ALLOWED_ORIGINS: ["*"],
  LOG_LEVEL: "info",
  LOG_FORMAT: "json",
};

const NO_COUNT = ["-7", "0", "7.5", "seven", "1e7", "10000001"];
const NO_DURATION = ["-7", "0", "seven", "1e7", "Infinity", "0x10", "7s", "1000001"];
const NO_JSON_OF_STRINGS = [
  "{broken-json",
  "[7]",
  '"seven"',
  '{"A":7}',
  '{"A":null}',
  "null",
  '{"A":"half a pair: \\ud83d"}',
];
const NO_URL = ["not a url", "ftp://files.example.com", "api.machines.dev", "//api.machines.dev"];

/** Values that must be refused. A variable without any here fails the test. */
const MALFORMED: Record<VariableName, string[]> = {
  SUPABASE_URL: NO_URL,
  SUPABASE_SECRET_KEYS: [...NO_JSON_OF_STRINGS, "{}", '{"default":""}', "sb_secret_0123456789"],
  SUPABASE_SERVICE_ROLE_KEY: ["ünprintable-key", "two\nlines-of-key"],
  FLY_API_TOKEN: ["fo1_tökensecret", "fo1_first\nfo1_second", "fo1_two  spaces"],
  FLY_APP_NAME: ["My_App", "-my-app", ",", "my-app,Other", "my app", "../my-app", "a".repeat(64)],
  DOCKER_IMAGE: ["an image of mine", "image;rm -rf", "imagé"],
  FLY_API_HOSTNAME: NO_URL,
  FLY_REGION: ["virginia", "IAD", "qqq", "i-d"],
  FLY_REGIONS: ["virginia", "iad,IAD", ",", "iad;ams"],
  FLY_REGION_FALLBACK: ["yes", "1", "TRUE"],
  MACHINE_PORT: [...NO_COUNT, "65536"],
  MACHINE_ENV: NO_JSON_OF_STRINGS,
  WEBSOCKET_URL_TEMPLATE: [
    "https://{app}.fly.dev/{machineId}",
    "wss://{app}.fly.dev/machines",
    "wss://{host}.fly.dev/{machineId}",
    "wss:{machineId}",
    "wss://{app}.fly.dev:port/{machineId}",
  ],
  MAX_MACHINES_PER_USER: NO_COUNT,
  PROVISION_TIMEOUT_SECONDS: [...NO_DURATION, "0.9", "150.0", "3600"],
  FLY_REQUEST_TIMEOUT_SECONDS: NO_DURATION,
  FLY_RATE_PER_SECOND: [...NO_DURATION, "0.0001"],
  FLY_RATE_BURST: NO_COUNT,
  ALERT_WEBHOOK_URL: NO_URL,
  ALERT_FAILURE_THRESHOLD: NO_COUNT,
  ALERT_WINDOW_MINUTES: [...NO_DURATION, "10081"],
  ALERT_COOLDOWN_MINUTES: [...NO_DURATION, "10081"],
  ALLOWED_ORIGINS: ["my.app.example.com", "https://app.example.com/path", ",", "null"],
  LOG_LEVEL: ["loud", "INFO"],
  LOG_FORMAT: ["xml", "JSON"],
};

const names = Object.keys(ENVIRONMENT) as VariableName[];

Deno.test("the environment: every variable has its cases", () => {
  assert.deepEqual(Object.keys(MALFORMED), names);
  assert.deepEqual([...REQUIRED, ...Object.keys(DEFAULTS)].sort(), [...names].sort());
  assert.deepEqual(
    names.filter((name) => !ENVIRONMENT[name].safeParse(undefined).success),
    REQUIRED,
  );
  assert.deepEqual(parseEnvironment(VALID).problems, []);
});

for (const name of names) {
  Deno.test(`the environment: ${name}, malformed`, () => {
    assert.ok(MALFORMED[name].length > 0);
    for (const value of MALFORMED[name]) {
      const environment = parseEnvironment({ ...VALID, [name]: value });
      assert.ok(!environment.complete);
      const { problems, settings } = environment;
      assert.deepEqual(
        problems.map(({ variable, kind }) => ({ variable, kind })),
        [{ variable: name, kind: "invalid" }],
        value,
      );
      if (name !== "FLY_REGION") assert.equal(settings[name], undefined);
      const { message, hint } = configurationError(problems[0]);
      assert.equal(message, `${name} not valid - cannot provision Fly.io machine`);
      assert.ok(hint.startsWith(`Server configuration error - ${name} invalid: expected `), hint);
      // A lone digit or comma is in every sentence.
      if (value.length > 2) assert.ok(!`${message} ${hint}`.includes(value), hint);
    }
  });

  Deno.test(`the environment: ${name}, not set or blank`, () => {
    for (const value of [undefined, "", " \t"]) {
      // One of the two kinds of keys has to be there.
      const others = name === "SUPABASE_SECRET_KEYS" ? { SUPABASE_SERVICE_ROLE_KEY: "key" } : {};
      const { problems, settings } = parseEnvironment({ ...VALID, ...others, [name]: value });
      const required = (REQUIRED as readonly string[]).includes(name);
      assert.deepEqual(
        problems,
        required ? [{ variable: name, kind: "missing", reason: "not set" }] : [],
      );
      if (!required) assert.deepEqual(settings[name], Reflect.get(DEFAULTS, name));
    }
  });
}

Deno.test("the environment: FLY_REGION must be one of FLY_REGIONS", () => {
  const { problems } = parseEnvironment({ ...VALID, FLY_REGIONS: "ams, fra" });
  assert.deepEqual(problems.map(({ variable }) => variable), ["FLY_REGION"]);
});

Deno.test("the environment: several problems are told in the table's order", () => {
  const { problems } = parseEnvironment({ ...VALID, LOG_LEVEL: "loud", DOCKER_IMAGE: undefined });
  assert.deepEqual(problems.map(({ variable }) => variable), ["DOCKER_IMAGE", "LOG_LEVEL"]);
});

/** What the function itself makes of it. All functions run side by side. */
const MISSING: { name: string; unset: string[]; row: boolean }[] = [
  { name: "FLY_API_TOKEN", unset: ["FLY_API_TOKEN"], row: true },
  { name: "FLY_APP_NAME", unset: ["FLY_APP_NAME"], row: true },
  { name: "DOCKER_IMAGE", unset: ["DOCKER_IMAGE"], row: true },
  { name: "SUPABASE_URL", unset: ["SUPABASE_URL"], row: false },
  {
    name: "SUPABASE_SERVICE_ROLE_KEY",
    unset: ["SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_SECRET_KEYS"],
    row: false,
  },
];

const BROKEN: { env: Record<string, string>; row: boolean }[] = [
  { env: { FLY_API_TOKEN: "fo1_tökenthatishalfright" }, row: true },
  { env: { FLY_API_HOSTNAME: "api.machines.dev" }, row: true },
  { env: { MACHINE_ENV: '{"PASSWORD":"correct-horse-battery"' }, row: true },
  { env: { PROVISION_TIMEOUT_SECONDS: "-5" }, row: true },
  { env: { FLY_REGIONS: "iad;ams" }, row: true },
  { env: { LOG_LEVEL: "loud" }, row: true },
  { env: { ALLOWED_ORIGINS: "app.example.com" }, row: true },
  { env: { SUPABASE_SECRET_KEYS: "sb_secret_without-any-json-around-it" }, row: false },
];

Deno.test("the function with a broken environment", async (t) => {
  await using stack = await startStack();
  const cases = [
    ...MISSING.map(({ name, unset, row }) => ({
      name,
      row,
      env: Object.fromEntries(unset.map((variable) => [variable, undefined])),
      error: `${name} not configured - cannot provision Fly.io machine`,
      message: `Server configuration error - ${name} missing`,
    })),
    ...BROKEN.map(({ env, row }) => ({
      name: Object.keys(env)[0] ?? "",
      row,
      env,
      error: `${Object.keys(env)[0]} not valid - cannot provision Fly.io machine`,
      message: undefined,
    })),
  ];
  for (const name of REQUIRED) assert.ok(MISSING.some((missing) => missing.name === name), name);
  const outcomes = await Promise.all(cases.map(async (expected) => {
    const fn = await stack.start(expected.env);
    const user = await stack.supabase.createUser();
    return { expected, fn, answer: await fn.call(user, { body: {} }) };
  }));
  for (const { expected, fn, answer } of outcomes) {
    await t.step(expected.error, async () => {
      assertError(answer, 500, "configuration_error");
      assert.equal(answer.body.error, expected.error);
      if (expected.message) assert.equal(answer.body.message, expected.message);
      await assertCritical(fn, answer, expected.name);
      await assertRow(stack, answer, expected.row);
      await fn.stop();
    });
  }
  assert.deepEqual(stack.simulator.requests(), []);
});

async function assertCritical(fn: RunningFunction, answer: Answer, name: string): Promise<void> {
  const event = await fn.failure(answer.requestId);
  assert.equal(event.message, `CRITICAL ERROR: ${answer.body.error}`);
  assert.equal(event.stream, "stderr");
  const problems = event["problems"] as { variable: string }[];
  assert.equal(problems[0]?.variable, name);
  const preflight = await fn.call(null, { method: "OPTIONS" });
  assert.equal(preflight.status, 204);
}

async function assertRow(stack: Stack, answer: Answer, expected: boolean): Promise<void> {
  if (!expected) return assert.equal(answer.body.machineId, null);
  const row = await assertFailedRow(stack, answer);
  assert.equal(row.reconcile_at, null);
  const history = await stack.historyOf(row.machine_id);
  assert.deepEqual(
    history.map(({ kind, error_code, request_id }) => [kind, error_code, request_id]),
    [["failed", "configuration_error", answer.requestId]],
  );
}
