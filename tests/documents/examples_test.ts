/**
 * The examples for frontends, exactly as README.md and docs/API.md print them, on the local stack:
 * a success, an error of ours, no network, a gateway's page, an unknown outcome.
 */
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import type { SupabaseClient } from "@supabase/supabase-js";
import { type Stack, startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";
import { codeBlocks, readDocument } from "./markdown.ts";

interface Answer {
  machine?: { machineId: string; websocketUrl: string; status: string };
  message?: string;
  problem?: { code: string; requestId: string };
  retryAfter?: string | null;
}

/** What the examples export. */
interface Examples {
  supabase: SupabaseClient;
  provision(): Promise<Answer>;
  list(): Promise<{ machine_id: string; status: string }[]>;
  provisionInBackground(key: string): Promise<{ machineId: string; status: string }>;
  socketUrl(machineId: string): Promise<URL>;
  destroy(machineId: string): Promise<void>;
}

const UNREACHABLE = "The service could not be reached. Try again.";

Deno.test("a frontend gets a machine, and a sentence for every failure", async (t) => {
  await using stack = await startStack();
  await using frontend = await signIn(stack);
  const { provision, list, destroy } = frontend;

  await t.step("a gateway's HTML page is no machine, and no exception", async () => {
    await using gateway = brokenGateway("<html><h1>502 Bad Gateway</h1></html>", "text/html", 502);
    stack.supabase.setFunction("provision-machine", gateway.url);
    assert.deepEqual(await provision(), { message: UNREACHABLE, retryAfter: null });
  });

  await t.step("nor is the platform's own error in JSON", async () => {
    // https://supabase.com/docs/guides/functions/status-codes
    const body = JSON.stringify({ code: "WORKER_LIMIT", message: "not enough compute resources" });
    await using gateway = brokenGateway(body, "application/json", 546);
    stack.supabase.setFunction("provision-machine", gateway.url);
    assert.deepEqual(await provision(), { message: UNREACHABLE, retryAfter: null });
  });
  stack.supabase.setFunction("provision-machine", stack.fn.url);

  await t.step("without a network", async () => {
    stack.supabase.addFault({
      match: { service: "functions" },
      do: { kind: "reset", when: "before" },
    });
    assert.deepEqual(await provision(), { message: UNREACHABLE, retryAfter: null });
    assert.deepEqual(await list(), []);
  });

  await t.step("after a lost answer the same key finds the machine", async () => {
    stack.supabase.addFault({
      match: { service: "functions" },
      do: { kind: "reset", when: "after" },
    });
    assert.deepEqual(await provision(), { message: UNREACHABLE, retryAfter: null });
    const { machine } = await provision();
    assert.equal(machine?.status, "running");
    assert.match(machine.websocketUrl, /^wss:/);
    assert.deepEqual((await list()).map(({ machine_id }) => machine_id), [machine.machineId]);
  });

  await t.step("an error of ours has its sentence and its request id", async () => {
    const { message, problem, retryAfter } = await provision();
    assert.equal(problem?.code, "machine_limit_reached");
    assert.match(message ?? "", new RegExp(`.+ \\(request ${problem.requestId}\\)$`));
    assert.equal(retryAfter, null);
  });

  await t.step("docs/API.md shows every field of a success and of an error", async () => {
    const blocks = codeBlocks(await readDocument("docs/API.md"), "json");
    const [machine, connection, destroyed, error] = blocks.map((block) => JSON.parse(block));
    const user = await stack.supabase.createUser();
    const provisioned = await stack.call(user);
    const path = `/${provisioned.body.machineId}`;
    const answers = [
      provisioned,
      await stack.call(user, { path: `${path}/connect` }),
      await stack.call(user),
      await stack.call(user, { method: "DELETE", path }),
    ];
    const limit = { ...error, websocketUrl: "", status: "" };
    assert.deepEqual(
      answers.map(({ body }) => Object.keys(body).sort()),
      [machine, connection, limit, destroyed].map((documented) => Object.keys(documented).sort()),
    );
  });

  await t.step("the address contains a token", async () => {
    const [machine] = await list();
    assert.ok(machine);
    const { origin, pathname, searchParams } = await frontend.socketUrl(machine.machine_id);
    assert.equal(origin + pathname, (await stack.row(machine.machine_id)).websocket_url);
    assert.match(searchParams.get("token") ?? "", /^[\w-]+\.[\w-]+\.[\w-]{43}$/);
  });

  await t.step("a machine is destroyed", async () => {
    const [machine] = await list();
    assert.ok(machine);
    await destroy(machine.machine_id);
    assert.deepEqual((await list()).map(({ status }) => status), ["destroyed"]);
  });

  await t.step("a failure says when to try again, and the next try has a new key", async () => {
    stack.simulator.addFault({
      match: { action: "create" },
      do: {
        kind: "status",
        status: 422,
        body: { error: "could not find a candidate host", status: "insufficient_capacity" },
      },
    });
    const { problem, retryAfter } = await provision();
    assert.deepEqual([problem?.code, retryAfter], ["fly_capacity", "60"]);
    const { machine } = await provision();
    assert.equal(machine?.status, "running");
    await destroy(machine.machineId);
  });

  await t.step("in the background", async () => {
    const started = await frontend.provisionInBackground(crypto.randomUUID());
    assert.equal(started.status, "provisioning");
    await until(
      "the row says running",
      async () =>
        (await list()).some(({ machine_id, status }) =>
          machine_id === started.machineId && status === "running"
        ),
    );
  });
});

Deno.test("the key is kept while the outcome is unknown", async () => {
  await using stack = await startStack({
    env: { PROVISION_TIMEOUT_SECONDS: "3" },
    fly: { settings: { startDelayMs: 1_000 } },
  });
  await using frontend = await signIn(stack);
  const answer = frontend.provision();
  const row = await until("the machine is created", async () => {
    const [row] = await stack.supabase.sql<{ machine_id: string; fly_machine_id: string | null }>(
      "select machine_id, fly_machine_id from cloud_machines",
    );
    return row !== undefined && row.fly_machine_id !== null && row;
  });
  await stack.fn.kill();
  assert.deepEqual(await answer, { message: UNREACHABLE, retryAfter: null });
  await stack.restart();

  const { problem, retryAfter } = await frontend.provision();
  assert.deepEqual([problem?.code, retryAfter], ["provision_timeout", "60"]);
  await stack.makeDue(row.machine_id);
  assert.equal((await stack.reconcile()).body.adopted, 1);
  assert.equal((await frontend.provision()).machine?.machineId, row.machine_id);
});

Deno.test("the examples type-check", async () => {
  await using file = await exampleFile("https://project.supabase.co", "sb_publishable_key");
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["check", "--quiet", file.path],
    cwd: new URL("../../", import.meta.url),
    env: { NO_COLOR: "1" },
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
});

/** The examples of a stack's frontend, signed in as a new user. */
async function signIn(stack: Stack): Promise<Examples & AsyncDisposable> {
  const { url, publishableKey } = stack.supabase;
  await using file = await exampleFile(url, publishableKey);
  const examples: Examples = await import(pathToFileURL(file.path).href);
  const credentials = { email: `${crypto.randomUUID()}@example.com`, password: "correct horse" };
  await stack.supabase.createUser(credentials);
  const { auth } = examples.supabase;
  const { error } = await auth.signInWithPassword(credentials);
  assert.equal(error, null);
  return {
    ...examples,
    [Symbol.asyncDispose]: async () => {
      await auth.stopAutoRefresh();
      await auth.signOut();
    },
  };
}

/** A module of the documents' examples, with the two constants that they leave to the reader. */
async function exampleFile(
  url: string,
  publishableKey: string,
): Promise<{ path: string } & AsyncDisposable> {
  const documents = await Promise.all(["README.md", "docs/API.md"].map(readDocument));
  const examples = documents.map((document) => codeBlocks(document, "ts"));
  assert.deepEqual(examples.map(({ length }) => length), [1, 2], "the documents' examples");
  const path = await Deno.makeTempFile({ prefix: "example-", suffix: ".ts" });
  await Deno.writeTextFile(
    path,
    [
      ...examples.flat(),
      `const SUPABASE_URL = ${JSON.stringify(url)};`,
      `const SUPABASE_PUBLISHABLE_KEY = ${JSON.stringify(publishableKey)};`,
    ].reverse().join("\n"),
  );
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path) };
}

/** Answers every request like a gateway whose function cannot be reached. */
function brokenGateway(
  body: string,
  contentType: string,
  status: number,
): { url: string } & AsyncDisposable {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response(body, { status, headers: { "content-type": contentType } }),
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
