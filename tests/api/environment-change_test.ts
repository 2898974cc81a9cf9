/** Settings change while an isolate lives: nothing made for the old ones may serve the new ones. */
import assert from "node:assert/strict";
import {
  generateSigningKey,
  type LocalSupabase,
  mintUserToken,
  type SigningKey,
  startSupabase,
} from "../../dev/stack/supabase/mod.ts";
import { createApp } from "../../supabase/functions/provision-machine/app.ts";
import { platformRuntime } from "../../supabase/functions/provision-machine/runtime.ts";
import { Isolate } from "../../supabase/functions/provision-machine/isolate.ts";
import { ROUTES } from "../../supabase/functions/provision-machine/routes.ts";

interface Project extends AsyncDisposable {
  key: SigningKey;
  supabase: LocalSupabase;
}

async function startProject(): Promise<Project> {
  const key = await generateSigningKey();
  const supabase = await startSupabase({ signingKeys: [key.publicJwk] });
  return { key, supabase, [Symbol.asyncDispose]: () => supabase.close() };
}

/** Nothing for Fly.io, so that an authenticated user gets `configuration_error`. */
function isolateOf(projects: Project[]) {
  let current: Project | undefined;
  const isolate = new Isolate({
    ...platformRuntime,
    env: (name) => {
      if (name === "SUPABASE_URL") return current?.supabase.url;
      if (name === "SUPABASE_SERVICE_ROLE_KEY") return current?.supabase.serviceRoleKey;
      return name === "LOG_LEVEL" ? "error" : undefined;
    },
    fetch: (input, init) => {
      const request = new Request(input, init);
      const project = projects.find(({ supabase }) => request.url.startsWith(supabase.url));
      return project?.supabase.fetch(request) ?? Promise.reject(new TypeError(request.url));
    },
  });
  const app = createApp(isolate, ROUTES);
  return async (project: Project, accessToken: string): Promise<string> => {
    current = project;
    const response = await app(
      new Request("http://function/provision-machine", {
        method: "POST",
        headers: { authorization: `Bearer ${accessToken}` },
      }),
    );
    return (await response.json()).code;
  };
}

Deno.test("the keys of one project verify no token for another", async () => {
  await using first = await startProject();
  await using second = await startProject();
  const call = isolateOf([first, second]);
  const tokenOf = async ({ key, supabase }: Project) =>
    await mintUserToken({ userId: (await supabase.createUser()).id, key });
  const [ofFirst, ofSecond] = [await tokenOf(first), await tokenOf(second)];
  const { error } = console;
  // The configuration is broken on purpose; its log lines only distract.
  Reflect.set(console, "error", () => {});
  try {
    assert.equal(await call(first, ofFirst), "configuration_error");
    assert.equal(await call(second, ofFirst), "unauthorized");
    assert.equal(await call(second, ofSecond), "configuration_error");
    assert.equal(await call(first, ofSecond), "unauthorized");
  } finally {
    Reflect.set(console, "error", error);
  }
});
