/** A broken configuration: which error it is, what still works, and which values are secrets. */
import assert from "node:assert/strict";
import { parseEnvironment } from "../../supabase/functions/provision-machine/config/parse-environment.ts";
import {
  configurationError,
  requirePlatform,
  requireSettings,
} from "../../supabase/functions/provision-machine/config/problems.ts";
import { secretsOf } from "../../supabase/functions/provision-machine/config/secrets.ts";

const URL = "https://abcdefghijklmnopqrst.supabase.co";
const VALID = {
  SUPABASE_URL: URL,
  SUPABASE_SERVICE_ROLE_KEY: "role-key",
  FLY_API_TOKEN: "fo1_0123456789",
  FLY_APP_NAME: "my-app",
  DOCKER_IMAGE: "registry.fly.io/my-app:latest",
};
const WITHOUT_KEYS = { ...VALID, SUPABASE_SERVICE_ROLE_KEY: undefined };

const HOST = "abcdefghijklmnopqrst.supabase.co";

Deno.test("configuration: the error names the variable in the contract's words", () => {
  const missing = configurationError({
    variable: "FLY_API_TOKEN",
    kind: "missing",
    reason: "not set",
  });
  assert.deepEqual([missing.code, missing.message, missing.hint], [
    "configuration_error",
    "FLY_API_TOKEN not configured - cannot provision Fly.io machine",
    "Server configuration error - FLY_API_TOKEN missing",
  ]);
});

Deno.test("configuration: several problems come in the order of the table", () => {
  const { problems } = parseEnvironment({ ...VALID, LOG_LEVEL: "loud", DOCKER_IMAGE: undefined });
  assert.deepEqual(problems.map(({ variable }) => variable), ["DOCKER_IMAGE", "LOG_LEVEL"]);
});

Deno.test("configuration: all keys with service rights, the default first, empty ones never", () => {
  const platformOf = (SUPABASE_SECRET_KEYS?: string) =>
    requirePlatform(parseEnvironment({ ...VALID, SUPABASE_SECRET_KEYS }));
  const alone = { url: URL, serviceKeys: ["role-key"], legacyKey: null, projectHost: HOST };
  assert.deepEqual(platformOf(), alone);
  assert.deepEqual(platformOf("{}"), platformOf());
  assert.deepEqual(platformOf('{"other":"o","blank":"","default":"d"}'), {
    url: URL,
    serviceKeys: ["d", "o"],
    legacyKey: "role-key",
    projectHost: HOST,
  });
  // Some projects keep it among the new ones.
  assert.deepEqual(platformOf('{"default":"role-key"}'), alone);
});

Deno.test("configuration: the database stays in reach when only Fly.io's settings are broken", () => {
  const environment = parseEnvironment({ ...VALID, FLY_API_TOKEN: undefined, LOG_LEVEL: "loud" });
  assert.deepEqual(requirePlatform(environment), {
    url: URL,
    serviceKeys: ["role-key"],
    legacyKey: null,
    projectHost: HOST,
  });
  assert.throws(() => requireSettings(environment), {
    message: "FLY_API_TOKEN not configured - cannot provision Fly.io machine",
  });
  const complete = parseEnvironment(VALID);
  assert.equal(requireSettings(complete), complete.settings);
});

Deno.test("configuration: without URL or key, that is the error, whatever else is broken", () => {
  const cases: [texts: Record<string, string | undefined>, error: string][] = [
    [{ ...VALID, SUPABASE_URL: "nowhere" }, "SUPABASE_URL not valid"],
    [{ ...VALID, SUPABASE_URL: undefined }, "SUPABASE_URL not configured"],
    [WITHOUT_KEYS, "SUPABASE_SERVICE_ROLE_KEY not configured"],
    [{ ...WITHOUT_KEYS, DOCKER_IMAGE: undefined }, "SUPABASE_SERVICE_ROLE_KEY not configured"],
    [{ ...WITHOUT_KEYS, SUPABASE_SECRET_KEYS: "sb_secret_x" }, "SUPABASE_SECRET_KEYS not valid"],
    [{ ...WITHOUT_KEYS, SUPABASE_SERVICE_ROLE_KEY: "ü" }, "SUPABASE_SERVICE_ROLE_KEY not valid"],
  ];
  for (const [texts, error] of cases) {
    const environment = parseEnvironment(texts);
    assert.throws(() => requirePlatform(environment), {
      message: `${error} - cannot provision Fly.io machine`,
    });
    // One key is enough, so the other kind is not missing as well.
    const keys = environment.problems.filter(({ variable }) => /KEY/.test(variable));
    assert.ok(keys.length <= 1, JSON.stringify(keys));
  }
});

Deno.test("configuration: every secret of the environment is known, also where it does not parse", () => {
  const secrets = secretsOf(parseEnvironment({
    ...VALID,
    FLY_API_TOKEN: " FlyV1 fm2_first,fm2_second ",
    SUPABASE_SECRET_KEYS: '{"default":"sb_secret_a","other":"sb_secret_b"}',
    SUPABASE_DB_URL: "postgres://postgres:password@localhost",
    ALERT_WEBHOOK_URL: " https://hooks.example.com/T0/B0 ",
    MACHINE_ENV: '{"PASSWORD":"machine-secret"}',
  }));
  assert.deepEqual(secrets.filter((secret) => secret !== ""), [
    "FlyV1 fm2_first,fm2_second",
    "fm2_first",
    "fm2_second",
    '{"default":"sb_secret_a","other":"sb_secret_b"}',
    "sb_secret_a",
    "sb_secret_b",
    "role-key",
    "postgres://postgres:password@localhost",
    "https://hooks.example.com/T0/B0",
    "machine-secret",
  ]);
  const broken = secretsOf(parseEnvironment({
    FLY_API_TOKEN: "fo1_with a  gap",
    SUPABASE_SECRET_KEYS: "sb_secret_without-json",
    SUPABASE_SERVICE_ROLE_KEY: "rôle",
    ALERT_WEBHOOK_URL: "hooks.example.com/T0/B0",
  }));
  for (
    const secret of [
      "fo1_with a  gap",
      "sb_secret_without-json",
      "rôle",
      "hooks.example.com/T0/B0",
    ]
  ) {
    assert.ok(broken.includes(secret), secret);
  }
});

Deno.test("configuration: names that every local stack shares tell no project from another", () => {
  const hostOf = (SUPABASE_URL: string) =>
    requirePlatform(parseEnvironment({ ...VALID, SUPABASE_URL })).projectHost;
  for (
    const url of [
      "http://kong:8000",
      "http://127.0.0.1:54321",
      "http://localhost:54321",
      "http://[::1]:54321",
      "http://api.localhost",
      "http://host.docker.internal:54321",
    ]
  ) {
    assert.equal(hostOf(url), null, url);
  }
  assert.equal(hostOf("https://auth.example.com:8443"), "auth.example.com");
});
