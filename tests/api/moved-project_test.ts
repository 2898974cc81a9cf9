/**
 * A database that was restored into, or copied to, another project provisions and destroys nothing
 * until an operator decides. In this process, because only here a host name can be made up.
 */
import assert from "node:assert/strict";
import { FlySimulator } from "../../dev/stack/fly/mod.ts";
import { startSupabase } from "../../dev/stack/supabase/mod.ts";
import { createApp } from "../../supabase/functions/provision-machine/app.ts";
import { Isolate } from "../../supabase/functions/provision-machine/isolate.ts";
import { ROUTES } from "../../supabase/functions/provision-machine/routes.ts";
import {
  platformRuntime,
  systemClock,
} from "../../supabase/functions/provision-machine/runtime.ts";

const FLY_APP = "shop";
const FLY_TOKEN = "fo1_0123456789abcdef";

interface Called {
  status: number;
  // deno-lint-ignore no-explicit-any
  body: any;
}

async function startWorld() {
  const supabase = await startSupabase();
  const simulator = new FlySimulator({
    apps: [FLY_APP],
    tokens: [FLY_TOKEN],
    settings: { startDelayMs: 0, rateLimits: null },
  });
  /** The function of the project at this host; they share one database unless another is given. */
  const projectAt = (host: string, { database = supabase, aheadMs = 0 } = {}) => {
    const env: Record<string, string> = {
      SUPABASE_URL: `https://${host}`,
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: database.secretKey }),
      FLY_API_TOKEN: FLY_TOKEN,
      FLY_APP_NAME: FLY_APP,
      DOCKER_IMAGE: "registry.example/image:1",
      FLY_API_HOSTNAME: "https://fly.test",
      LOG_LEVEL: "error",
    };
    const isolate = new Isolate({
      ...platformRuntime,
      env: (name) => env[name],
      clock: { ...systemClock, now: () => systemClock.now() + aheadMs },
      fetch: async (input, init) => {
        const request = new Request(input, init);
        const { host: asked, pathname, search } = new URL(request.url);
        if (asked !== host) return await simulator.fetch(request);
        return await database.fetch(new Request(`${database.url}${pathname}${search}`, request));
      },
    });
    const app = createApp(isolate, ROUTES);
    return async (method: string, path: string, body?: unknown): Promise<Called> => {
      const response = await app(
        new Request(`http://function/provision-machine${path}`, {
          method,
          headers: { apikey: database.secretKey, "content-type": "application/json" },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        }),
      );
      return { status: response.status, body: await response.json() };
    };
  };
  const { error } = console;
  // These errors are provoked; their log lines only distract.
  Reflect.set(console, "error", () => {});
  return {
    supabase,
    simulator,
    projectAt,
    async [Symbol.asyncDispose]() {
      Reflect.set(console, "error", error);
      await simulator.abandonCalls();
      await supabase.close();
    },
  };
}

Deno.test("a database that is found under another project's host", async (t) => {
  await using world = await startWorld();
  const { supabase, simulator } = world;
  const first = world.projectAt("first.supabase.co");
  const second = world.projectAt("second.supabase.co");
  const provision = async (call: typeof first) =>
    await call("POST", "", { userId: (await supabase.createUser()).id });
  const { status, body: { machineId } } = await provision(first);
  assert.equal(status, 200);
  const statusOf = async () =>
    (await supabase.sql<{ status: string }>(
      "select status from cloud_machines where machine_id = $1",
      [machineId],
    ))[0]?.status;

  await t.step("provisions nothing", async () => {
    const creates = simulator.requests().length;
    const { status, body } = await provision(second);
    assert.deepEqual([status, body.code], [500, "configuration_error"]);
    assert.match(body.error, /^This database belongs to another project/);
    const [row] = await supabase.sql<{ status: string; error_code: string }>(
      "select status, error_code from cloud_machines where machine_id = $1",
      [body.machineId],
    );
    assert.deepEqual(row, { status: "error", error_code: "configuration_error" });
    assert.equal(simulator.requests().length, creates);
  });

  await t.step("destroys nothing", async () => {
    for (const [method, path] of [["DELETE", `/${machineId}`], ["POST", "/reconcile"]] as const) {
      const { status, body } = await second(method, path);
      assert.deepEqual([status, body.code], [500, "configuration_error"], path);
    }
    assert.equal(await statusOf(), "running");
    assert.equal(simulator.machine(machineId)?.live, true);
  });

  await t.step("its health fails and says what to do; the owner's passes", async () => {
    const { status, body } = await second("GET", "/health");
    assert.equal(status, 503);
    const [check] = body.checks["database:project"];
    assert.match(check.output, /belongs to first\.supabase\.co: .*installation_moved\(\)/);
    assert.equal((await first("GET", "/health")).body.checks["database:project"][0].status, "pass");
  });

  await t.step("moved: the other project takes over its machines", async () => {
    await supabase.sql("select installation_moved()");
    assert.equal((await second("POST", "/reconcile")).status, 200);
    assert.equal(await statusOf(), "running");
    assert.equal((await first("POST", "/reconcile")).body.code, "configuration_error");
  });

  await t.step("copied: its rows are closed without a call to Fly.io", async () => {
    const calls = simulator.requests().length;
    const tagOf = async () =>
      (await supabase.sql<{ tag: string }>("select tag from installation"))[0]?.tag;
    const tag = await tagOf();
    await supabase.sql("select installation_copied()");
    assert.notEqual(await tagOf(), tag);
    assert.equal(await statusOf(), "destroyed");
    assert.equal(simulator.requests().length, calls);
    for (let run = 0; run < 3; run++) assert.equal((await first("POST", "/reconcile")).status, 200);
    assert.equal(simulator.machine(machineId)?.live, true);
  });
});

Deno.test("two stacks that share a name, an app and a token", async () => {
  await using world = await startWorld();
  const { supabase, simulator } = world;
  const database = await startSupabase();
  try {
    const { body: { machineId } } = await world.projectAt("kong:8000")("POST", "", {
      userId: (await supabase.createUser()).id,
    });
    // For the other stack the machine is too old for its request to be still at work.
    const other = world.projectAt("kong:8000", { database, aheadMs: 3_600_000 });
    for (let run = 0; run < 3; run++) {
      const { body } = await other("POST", "/reconcile");
      assert.deepEqual([body.orphansDestroyed, body.suspected, body.failed], [0, 0, 0]);
    }
    assert.equal(simulator.machine(machineId)?.live, true);
  } finally {
    await database.close();
  }
});
