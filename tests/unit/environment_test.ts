/** The environment: every variable missing, blank, malformed and valid, and what follows from it. */
import assert from "node:assert/strict";
import { FLY_REGIONS } from "../../dev/stack/fly/mod.ts";
import {
  ENVIRONMENT,
  type Settings,
  type VariableName,
} from "../../supabase/functions/provision-machine/config/environment.ts";
import { parseEnvironment } from "../../supabase/functions/provision-machine/config/parse-environment.ts";
import { configurationError } from "../../supabase/functions/provision-machine/config/problems.ts";

const VALID: Record<string, string> = {
  SUPABASE_URL: "https://abcdefghijklmnopqrst.supabase.co",
  SUPABASE_SECRET_KEYS: '{"default":"sb_secret_0123456789"}',
  FLY_API_TOKEN: "fo1_0123456789",
  FLY_APP_NAME: "my-app",
  DOCKER_IMAGE: "registry.fly.io/my-app:latest",
};

const REQUIRED: readonly string[] = [
  "SUPABASE_URL",
  "FLY_API_TOKEN",
  "FLY_APP_NAME",
  "DOCKER_IMAGE",
];

/** The settings of {@link VALID}: what is documented for each variable that is not set. */
const SETTINGS: Settings = {
  SUPABASE_URL: "https://abcdefghijklmnopqrst.supabase.co",
  SUPABASE_SECRET_KEYS: { default: "sb_secret_0123456789" },
  FLY_API_TOKEN: "fo1_0123456789",
  FLY_APP_NAME: ["my-app"],
  DOCKER_IMAGE: "registry.fly.io/my-app:latest",
  FLY_API_HOSTNAME: "https://api.machines.dev",
  FLY_REGION: "iad",
  // It takes no new machines.
  FLY_REGIONS: FLY_REGIONS.filter((region) => region !== "bom"),
  FLY_REGION_FALLBACK: false,
  MACHINE_PORT: 8080,
  MACHINE_ENV: {},
  MACHINE_AUTOSTOP: "off",
  POOL_SIZE: 0,
  POOL_STATE: "stopped",
  MAX_MACHINES: 100,
  MAX_MACHINES_PER_USER: 1,
  MAX_PROVISIONS_PER_USER_PER_HOUR: 20,
  ALLOW_ANONYMOUS_USERS: false,
  PROVISION_TIMEOUT_SECONDS: 70,
  FLY_REQUEST_TIMEOUT_SECONDS: 30,
  FLY_RATE_PER_SECOND: 1,
  FLY_RATE_BURST: 3,
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

/** Values that must be refused. */
const MALFORMED: Record<VariableName, string[]> = {
  SUPABASE_URL: NO_URL,
  SUPABASE_SECRET_KEYS: [...NO_JSON_OF_STRINGS, '{"default":""}', "sb_secret_0123456789"],
  SUPABASE_SERVICE_ROLE_KEY: ["ünprintable-key", "two\nlines-of-key"],
  FLY_API_TOKEN: [
    "fo1_tökensecret",
    "fo1_first\nfo1_second",
    "fo1_two  spaces",
    '"FlyV1 fm2_secret"',
    "'fo1_secret'",
    "Bearer fo1_secret",
  ],
  FLY_APP_NAME: ["My_App", "-my-app", ",", "my-app,Other", "my app", "../my-app", "a".repeat(64)],
  DOCKER_IMAGE: ["an image of mine", "image;rm -rf", "imagé"],
  FLY_API_HOSTNAME: NO_URL,
  FLY_REGION: ["virginia", "IAD", "qqq", "i-d"],
  FLY_REGIONS: ["virginia", "iad,IAD", ",", "iad;ams"],
  FLY_REGION_FALLBACK: ["yes", "1", "TRUE"],
  MACHINE_PORT: [...NO_COUNT, "65536"],
  MACHINE_ENV: NO_JSON_OF_STRINGS,
  MACHINE_AUTOSTOP: ["always", "true", "Stop"],
  CONNECT_TOKEN_SECRET: ["x", "a-secret-with-31-characters-012"],
  FLY_ORG_SLUG: ["My Org", "-org", "org_1"],
  FLY_ROUTER_URL: ["https://router.fly.dev", "router.fly.dev", "wss://router.fly.dev?a=b"],
  WEBSOCKET_URL_TEMPLATE: [
    "https://{app}.fly.dev/{machineId}",
    "wss://app.fly.dev/machines",
    "wss://{host}.fly.dev/{machineId}",
    "wss:{machineId}",
    "wss://{app}.fly.dev/}{machineId}",
    "wss://{app}.fly.dev:port/{machineId}",
  ],
  POOL_SIZE: ["-1", "1.5", "many", "10001"],
  POOL_STATE: ["running", "Stopped"],
  MAX_MACHINES: NO_COUNT,
  MAX_MACHINES_PER_USER: NO_COUNT,
  MAX_PROVISIONS_PER_USER_PER_HOUR: NO_COUNT,
  ALLOW_ANONYMOUS_USERS: ["yes", "1", "TRUE"],
  MACHINE_MAX_LIFETIME_HOURS: [...NO_DURATION, "87601"],
  // Any sentence will do.
  PROVISIONING_PAUSED: [],
  PROVISION_TIMEOUT_SECONDS: [...NO_DURATION, "0.9", "150.0", "3600"],
  FLY_REQUEST_TIMEOUT_SECONDS: NO_DURATION,
  FLY_RATE_PER_SECOND: [...NO_DURATION, "0.0001"],
  FLY_RATE_BURST: NO_COUNT,
  ALERT_WEBHOOK_URL: NO_URL,
  ALERT_FAILURE_THRESHOLD: NO_COUNT,
  ALERT_WINDOW_MINUTES: [...NO_DURATION, "10081"],
  ALERT_COOLDOWN_MINUTES: [...NO_DURATION, "10081"],
  ALLOWED_ORIGINS: ["my.app.example.com", "https://app.example.com/path", ",", "null"],
  RELEASE: ["a release", "v1/2", "f".repeat(65)],
  LOG_LEVEL: ["loud", "INFO"],
  LOG_FORMAT: ["xml", "JSON"],
};

/** Values that are taken, and what they become. */
const TAKEN: [variable: VariableName, text: string, value: unknown][] = [
  ["SUPABASE_URL", " http://127.0.0.1:54321// ", "http://127.0.0.1:54321"],
  ["SUPABASE_SERVICE_ROLE_KEY", "eyJ.e30.x", "eyJ.e30.x"],
  ["FLY_API_TOKEN", "FlyV1 fm2_a,fm2_b", "FlyV1 fm2_a,fm2_b"],
  ["FLY_APP_NAME", " one , two,one,", ["one", "two"]],
  ["FLY_APP_NAME", "a".repeat(63), ["a".repeat(63)]],
  ["FLY_REGION", "ams", "ams"],
  ["FLY_REGIONS", "iad, lhr", ["iad", "lhr"]],
  ["FLY_REGION_FALLBACK", "true", true],
  ["MACHINE_PORT", "65535", 65_535],
  ["MACHINE_ENV", '{"A":"","__proto__x":"😀"}', { A: "", __proto__x: "😀" }],
  ["CONNECT_TOKEN_SECRET", ` ${"é".repeat(32)}\n`, "é".repeat(32)],
  ["WEBSOCKET_URL_TEMPLATE", "ws://{machineId}:80/{app}", "ws://{machineId}:80/{app}"],
  ["WEBSOCKET_URL_TEMPLATE", "wss://r.io/{flyMachineId}", "wss://r.io/{flyMachineId}"],
  ["MAX_MACHINES_PER_USER", "1000000", 1_000_000],
  ["PROVISION_TIMEOUT_SECONDS", "1", 1],
  ["PROVISION_TIMEOUT_SECONDS", "149.9", 149.9],
  ["FLY_RATE_PER_SECOND", "0.001", 0.001],
  ["ALERT_WINDOW_MINUTES", "10080", 10_080],
  ["ALLOWED_ORIGINS", "https://a.example.com, http://localhost:3000", [
    "https://a.example.com",
    "http://localhost:3000",
  ]],
  ["RELEASE", "v1.2.3-rc.1+5f0e38a", "v1.2.3-rc.1+5f0e38a"],
  ["LOG_LEVEL", "debug", "debug"],
];

const isVariable = (name: string): name is VariableName => Object.hasOwn(ENVIRONMENT, name);
const names = Object.keys(ENVIRONMENT).filter(isVariable);

Deno.test("environment: nothing but the required variables gives the documented defaults", () => {
  assert.deepEqual(Object.keys(MALFORMED), names);
  const required = names.filter((name) => !ENVIRONMENT[name].safeParse(undefined).success);
  assert.deepEqual(required, REQUIRED);
  const environment = parseEnvironment(VALID);
  assert.ok(environment.complete);
  const defined = Object.entries(environment.settings).filter(([, value]) => value !== undefined);
  assert.deepEqual(Object.fromEntries(defined), SETTINGS);
  assert.deepEqual(environment.problems, []);
});

Deno.test("environment: a malformed value is named, never repeated, never replaced by a default", () => {
  for (const name of names) {
    for (const value of MALFORMED[name]) {
      const environment = parseEnvironment({ ...VALID, [name]: value });
      assert.ok(!environment.complete, `${name}=${value}`);
      const { problems, settings } = environment;
      assert.deepEqual(
        problems.map(({ variable, kind }) => ({ variable, kind })),
        [{ variable: name, kind: "invalid" }],
        value,
      );
      if (name !== "FLY_REGION") assert.equal(settings[name], undefined);
      const { code, message, hint } = configurationError(problems[0]);
      assert.equal(code, "configuration_error");
      assert.equal(message, `${name} not valid - cannot provision Fly.io machine`);
      assert.ok(hint.startsWith(`Server configuration error - ${name} invalid: expected `), hint);
      // A lone digit or comma is in every sentence.
      if (value.length > 2) assert.ok(!`${message} ${hint}`.includes(value), hint);
    }
  }
});

Deno.test("environment: not set or blank is the default, or missing", () => {
  for (const name of names) {
    for (const value of [undefined, "", " \t"]) {
      // One of the two kinds of keys has to be there.
      const others = name === "SUPABASE_SECRET_KEYS" ? { SUPABASE_SERVICE_ROLE_KEY: "key" } : {};
      const { problems, settings } = parseEnvironment({ ...VALID, ...others, [name]: value });
      const required = REQUIRED.includes(name);
      assert.deepEqual(
        problems,
        required ? [{ variable: name, kind: "missing", reason: "not set" }] : [],
      );
      if (name in VALID) assert.equal(settings[name], undefined);
      else assert.deepEqual(settings[name], SETTINGS[name]);
    }
  }
});

Deno.test("environment: what is taken, and what it becomes", () => {
  for (const [variable, text, value] of TAKEN) {
    const { settings, problems } = parseEnvironment({ ...VALID, [variable]: text });
    assert.deepEqual(problems, [], `${variable}=${text}`);
    assert.deepEqual(settings[variable], value);
  }
});

Deno.test("environment: the default region must be one of the regions", () => {
  const { problems, settings } = parseEnvironment({ ...VALID, FLY_REGIONS: "ams, fra" });
  assert.deepEqual(problems, [{
    variable: "FLY_REGION",
    kind: "invalid",
    reason: "expected one of FLY_REGIONS",
  }]);
  assert.deepEqual(settings.FLY_REGIONS, ["ams", "fra"]);
});
