/** What an isolate keeps: the environment until it changes, its secrets, and each feature's state. */
import assert from "node:assert/strict";
import { Isolate, PerIsolate } from "../../supabase/functions/provision-machine/isolate.ts";
import { platformRuntime } from "../../supabase/functions/provision-machine/runtime.ts";

const VALID = {
  SUPABASE_URL: "https://project.supabase.co",
  SUPABASE_SERVICE_ROLE_KEY: "role-key-0123",
  FLY_API_TOKEN: "fo1_first-token",
  FLY_APP_NAME: "my-app",
  DOCKER_IMAGE: "image:1",
};

function isolateOf(env: Record<string, string>): Isolate {
  return new Isolate({ ...platformRuntime, env: (name) => env[name] });
}

Deno.test("isolate: the environment is parsed again only when it has changed", () => {
  const env: Record<string, string> = { ...VALID };
  const isolate = isolateOf(env);
  const first = isolate.readEnvironment();
  env["SOMETHING_ELSE"] = "changed";
  assert.equal(isolate.readEnvironment(), first);
  env["FLY_REGION"] = "ams";
  const second = isolate.readEnvironment();
  assert.notEqual(second, first);
  assert.equal(second.settings.FLY_REGION, "ams");
  delete env["FLY_REGION"];
  assert.equal(isolate.readEnvironment().settings.FLY_REGION, "iad");
});

Deno.test("isolate: secrets of the environment are redacted for as long as they are in it", () => {
  const env: Record<string, string> = { ...VALID, SUPABASE_DB_URL: "postgres://a:b@localhost" };
  const isolate = isolateOf(env);
  const text = "fo1_first-token fo1_second-token role-key-0123 postgres://a:b@localhost";
  assert.equal(isolate.redactor.redact(text), text);
  isolate.readEnvironment();
  assert.equal(
    isolate.redactor.redact(text),
    "[REDACTED] fo1_second-token [REDACTED] [REDACTED]",
  );
  env["FLY_API_TOKEN"] = "fo1_second-token";
  env["SUPABASE_DB_URL"] = "";
  isolate.readEnvironment();
  assert.equal(
    isolate.redactor.redact(text),
    "fo1_first-token [REDACTED] [REDACTED] postgres://a:b@localhost",
  );
});

Deno.test("isolate: a feature's state is made once per isolate, and shared by none", () => {
  let made = 0;
  const state = new PerIsolate(() => ({ number: ++made }));
  const [one, other] = [isolateOf(VALID), isolateOf(VALID)];
  assert.equal(state.of(one), state.of(one));
  assert.notEqual(state.of(one), state.of(other));
  assert.equal(made, 2);
});
