/** The first example of client/README.md, exactly as it prints it; tests/client builds both. */
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import type { SupabaseClient } from "@supabase/supabase-js";
import { PROMPT_PROXY_SETTINGS, serveFlyProxy } from "../../dev/stack/fly/mod.ts";
import { FLY_APP, type Stack, startStack } from "../support/stack.ts";
import { codeBlocks, readDocument } from "./markdown.ts";

interface Example {
  supabase: SupabaseClient;
  greet(signal?: AbortSignal): Promise<string>;
}

Deno.test("the client's example greets a machine, and every failure is typed", async (t) => {
  await using stack = await startStack();
  await using proxy = await machineProxy(stack);
  await stack.restart({ WEBSOCKET_URL_TEMPLATE: proxy.websocketUrlTemplate });
  await using example = await signedIn(stack);

  await t.step("a gateway's page is a typed error", async () => {
    stack.supabase.setFunction(
      "provision-machine",
      () => new Response("<html><h1>500</h1></html>", { status: 500 }),
    );
    await assert.rejects(example.greet(), {
      name: "ProvisionMachineError",
      code: "unexpected_response",
      status: 500,
      retry: "same_key",
    });
    stack.supabase.setFunction("provision-machine", stack.fn.url);
  });

  await t.step("then it works", async () => assert.equal(await example.greet(), "hello"));

  await t.step("an error of the service says what it says", async () => {
    const error = await example.greet().then(() => null, (thrown: unknown) => thrown);
    assert.ok(error instanceof Error && "machineStatus" in error && "code" in error);
    assert.deepEqual([error.code, error.machineStatus], ["machine_limit_reached", "running"]);
  });
});

/** Fly Proxy in front of the machines of the stack's app. */
async function machineProxy(stack: Stack) {
  const proxy = await serveFlyProxy(stack.simulator, {
    publicApps: [FLY_APP],
    settings: PROMPT_PROXY_SETTINGS,
  });
  return { ...proxy, [Symbol.asyncDispose]: () => proxy.shutdown() };
}

async function signedIn(stack: Stack): Promise<Example & AsyncDisposable> {
  const { url, publishableKey } = stack.supabase;
  const path = await Deno.makeTempFile({ prefix: "example-", suffix: ".ts" });
  const [example = ""] = codeBlocks(await readDocument("client/README.md"), "ts");
  const constants = `const SUPABASE_URL = ${JSON.stringify(url)};
    const SUPABASE_PUBLISHABLE_KEY = ${JSON.stringify(publishableKey)};\n`;
  await Deno.writeTextFile(path, constants + example);
  const exported: Example = await import(pathToFileURL(path).href);
  await Deno.remove(path);
  const credentials = { email: `${crypto.randomUUID()}@example.com`, password: "correct horse" };
  await stack.supabase.createUser(credentials);
  const { auth } = exported.supabase;
  const { error } = await auth.signInWithPassword(credentials);
  assert.equal(error, null);
  return {
    ...exported,
    [Symbol.asyncDispose]: async () => {
      await auth.stopAutoRefresh();
      await auth.signOut();
    },
  };
}
