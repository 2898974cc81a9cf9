/** `deno task smoke` on the local stack: a life from sign-up to nothing left, and promises that are broken. */
import assert from "node:assert/strict";
import { smoke, SmokeError } from "../../dev/tasks/smoke/smoke.ts";
import { PROMPT_PROXY_SETTINGS, serveFlyProxy } from "../../dev/stack/fly/mod.ts";
import { FLY_APP, type Stack, startStack } from "../support/stack.ts";

const MAIN = new URL("../../dev/tasks/smoke/main.ts", import.meta.url).pathname;

Deno.test("smoke: a machine's life on a deployment", async (t) => {
  await using stack = await startStack();
  const proxy = await serveFlyProxy(stack.simulator, {
    publicApps: [FLY_APP],
    settings: PROMPT_PROXY_SETTINGS,
    inProcess: true,
  });
  try {
    await stack.restart({ WEBSOCKET_URL_TEMPLATE: proxy.websocketUrlTemplate });

    await t.step("the command: every promise is kept, and nothing is left", async () => {
      const { code, stderr, stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", MAIN],
        env: {
          NO_COLOR: "1",
          SUPABASE_URL: `${stack.supabase.url}/`,
          SUPABASE_SECRET_KEY: stack.supabase.secretKey,
          SUPABASE_PUBLISHABLE_KEY: stack.supabase.publishableKey,
        },
      }).output();
      const said = new TextDecoder().decode(stderr) + new TextDecoder().decode(stdout);
      assert.equal(code, 0, said);
      assert.match(said, /its WebSocket answers after/);
      assert.match(said, /✅ The deployment keeps its promises\.\n$/);
      assert.deepEqual(stack.secrets.findIn(said), []);
      await assertNothingIsLeft(stack);
      const [row] = await stack.supabase.sql("select status, user_id from cloud_machines");
      assert.deepEqual(row, { status: "destroyed", user_id: null });
    });

    const broken = async (expected: RegExp) => {
      await assert.rejects(
        smoke({
          url: stack.supabase.url,
          secretKey: stack.supabase.secretKey,
          publishableKey: stack.supabase.publishableKey,
          connectWithinMs: 0,
          say: () => {},
        }),
        (error) => error instanceof SmokeError && expected.test(error.message),
      );
      await assertNothingIsLeft(stack);
    };

    await t.step(
      "a machine that nobody can reach is named, and destroyed all the same",
      async () => {
        await stack.restart({ WEBSOCKET_URL_TEMPLATE: "ws://127.0.0.1:1/{machineId}" });
        await broken(/^ws:\/\/127\.0\.0\.1:1\/\S+ cannot be reached/);
      },
    );

    await t.step("no room at Fly.io is named with the code", async () => {
      for (const region of stack.simulator.world.regions.codes()) {
        stack.simulator.setCapacity(region, false);
      }
      await broken(/^POST is answered HTTP 500: .*"code":"fly_capacity"/);
    });

    await t.step("a function that lets anyone in is named", async () => {
      stack.supabase.setFunction("provision-machine", () => Response.json({ code: "none" }));
      await broken(/^a call without a user is answered HTTP 200, not 401 unauthorized$/);
      stack.supabase.setFunction("provision-machine", stack.fn.url);
    });
  } finally {
    await proxy.shutdown();
  }
});

async function assertNothingIsLeft(stack: Stack): Promise<void> {
  assert.deepEqual(stack.simulator.liveMachines(), []);
  assert.deepEqual(
    await stack.supabase.sql("select email from auth.users where email like 'smoke-%'"),
    [],
  );
}
