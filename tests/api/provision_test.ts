/** POST /provision-machine when all goes well: answer, row, history, and the calls to Fly.io. */
import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";
import { PROMPT_PROXY_SETTINGS, serveFlyProxy } from "../../dev/stack/fly/mod.ts";
import { GUESTS } from "../../supabase/functions/provision-machine/provision/machine-config.ts";
import { machineKey } from "../examples/tokens.ts";
import { assertProvisioned } from "../support/expectations.ts";
import {
  CONNECT_SECRET,
  FLY_APP,
  FLY_TOKEN,
  IMAGE,
  type Stack,
  startStack,
} from "../support/stack.ts";

const MACAROON = "fm2_lJPECAAAAAAAB0bvxBDmB0bvxBDexampleonly";
const PLANTED = "greeting-Vb7Kt3Qx9Lm2";

Deno.test("provisioning a machine", async (t) => {
  await using stack = await startStack({
    env: { MAX_MACHINES_PER_USER: "100" },
    fly: { tokens: [FLY_TOKEN, MACAROON] },
  });
  const user = await stack.supabase.createUser();

  await t.step("the answer, the row and its history agree", async () => {
    const answer = await stack.call(user, { body: { region: "fra", cpuPriority: "low" } });
    const row = await assertProvisioned(stack, answer);
    const { machineId, flyMachineId, requestId } = answer.body;
    assert.deepEqual(answer.body, {
      machineId,
      websocketUrl: `wss://${FLY_APP}.fly.dev/machines/${machineId}`,
      status: "running",
      message: "Machine provisioned successfully",
      region: "fra",
      flyMachineId,
      requestId,
    });
    const { user_id, fly_app_name, cpu_priority, request_id, error_code, error_message } = row;
    assert.deepEqual(
      { user_id, fly_app_name, cpu_priority, request_id, error_code, error_message },
      {
        user_id: user.id,
        fly_app_name: FLY_APP,
        cpu_priority: "low",
        request_id: requestId,
        error_code: null,
        error_message: null,
      },
    );
    const history = await stack.historyOf(machineId);
    assert.deepEqual(history.map(({ kind }) => kind), [
      "claimed",
      "fly_machine_recorded",
      "running",
    ]);
    for (const event of history) {
      assert.equal(event.request_id, requestId);
      assert.equal(event.error_code, null);
      assert.ok((event.duration_ms ?? -1) >= 0);
    }
  });

  await t.step("a user may name themself, and an empty body means all defaults", async () => {
    const named = await stack.call(user, { body: { userId: user.id.toUpperCase() } });
    assert.equal((await assertProvisioned(stack, named)).user_id, user.id);
    const empty = await stack.call(user);
    const row = await assertProvisioned(stack, empty);
    assert.equal(row.region, "iad");
    assert.equal(row.cpu_priority, "normal");
  });

  await t.step(
    "no unnecessary round trip: 1 + 2 to the database, create and wait at Fly.io",
    async () => {
      stack.supabase.clearRequests();
      stack.simulator.clearRequests();
      await assertProvisioned(stack, await stack.call(user, { body: {} }));
      assert.deepEqual(
        stack.supabase.requests({ service: "rest", transport: "http" }).map(({ rpc }) => rpc),
        ["claim_machine", "record_fly_machine", "mark_machine_running"],
      );
      assert.deepEqual(stack.simulator.requests().map(({ action }) => action), ["create", "wait"]);
    },
  );

  await t.step("the row exists before Fly.io is called", async () => {
    const seen: unknown[] = [];
    stack.simulator.addFault({
      match: { action: "create" },
      do: { kind: "status", status: 422, body: { error: "enough seen" } },
    });
    const remove = stack.supabase.onRequest(({ rpc }) => {
      if (rpc) seen.push([rpc, stack.simulator.requests().length]);
    });
    stack.simulator.clearRequests();
    await stack.call(user, { body: {} });
    remove();
    assert.deepEqual(seen, [["claim_machine", 0], ["mark_machine_error", 1]]);
  });

  await t.step("the machine that Fly.io is asked to create", async (t) => {
    await using fn = await stack.start({
      MACHINE_ENV: JSON.stringify({ GREETING: PLANTED, USER_ID: "not-this-user-Zp4Rd6Wc8" }),
      MACHINE_PORT: "9000",
    });
    for (const cpuPriority of ["low", "normal", "high"] as const) {
      await t.step(cpuPriority, async () => {
        const answer = await fn.call(user, { body: { cpuPriority, region: "ams" } });
        const { machineId } = answer.body;
        const { id } = await assertProvisioned(stack, answer);
        assert.deepEqual(stack.simulator.createBodiesOf(machineId), [{
          name: machineId,
          region: "ams",
          config: {
            image: IMAGE,
            guest: {
              low: { cpu_kind: "shared", cpus: 1, memory_mb: 256 },
              normal: { cpu_kind: "shared", cpus: 2, memory_mb: 512 },
              high: { cpu_kind: "performance", cpus: 1, memory_mb: 2048 },
            }[cpuPriority],
            env: {
              GREETING: PLANTED,
              USER_ID: user.id,
              MACHINE_ID: machineId,
              CPU_PRIORITY: cpuPriority,
              CONNECT_KEY: machineKey(machineId, CONNECT_SECRET),
            },
            services: [{
              protocol: "tcp",
              internal_port: 9000,
              ports: [{ port: 80, handlers: ["http"] }, { port: 443, handlers: ["tls", "http"] }],
              autostop: "off",
              autostart: false,
            }],
            restart: { policy: "on-failure", max_retries: 3 },
            auto_destroy: false,
            metadata: {
              managed_by: "provision-machine",
              supabase_project: new URL(stack.supabase.url).host,
              cloud_machine_id: id,
            },
          },
        }]);
      });
    }
    assert.deepEqual(Object.keys(GUESTS), ["low", "normal", "high"]);
  });

  await t.step("a macaroon is sent under its own scheme, as flyctl does", async () => {
    for (
      const [token, scheme] of [
        [FLY_TOKEN, "Bearer"],
        [`FlyV1 ${MACAROON},fm2_another-part-of-the-token`, "FlyV1"],
      ]
    ) {
      await using fn = await stack.start({ FLY_API_TOKEN: token });
      stack.simulator.clearRequests();
      await assertProvisioned(stack, await fn.call(user, { body: {} }));
      for (const { authorizationScheme } of stack.simulator.requests()) {
        assert.equal(authorizationScheme, scheme);
      }
    }
  });

  await t.step("the address leads to the app's only machine, which admits the token", async () => {
    const app = "app-of-one";
    stack.simulator.addApp(app);
    const proxy = await serveFlyProxy(stack.simulator, {
      publicApps: [app],
      settings: PROMPT_PROXY_SETTINGS,
    });
    try {
      await using fn = await stack.start({
        FLY_APP_NAME: app,
        WEBSOCKET_URL_TEMPLATE: proxy.websocketUrlTemplate,
      });
      const answer = await fn.call(user, { body: {} });
      await assertProvisioned(stack, answer);
      const { machineId, websocketUrl } = answer.body;
      const { body: { token } } = await fn.call(user, { path: `/${machineId}/connect` });
      const greeting = await firstMessage(`${websocketUrl}?token=${token}`);
      assert.deepEqual(JSON.parse(greeting), { machineId, userId: user.id });
      await assert.rejects(firstMessage(websocketUrl), "without a token");
    } finally {
      await proxy.shutdown();
    }
  });

  await t.step("through the gateway with supabase-js", async () => {
    const { url, publishableKey, secretKey } = stack.supabase;
    const auth = { persistSession: false, autoRefreshToken: false };
    const asUser = createClient(url, publishableKey, {
      auth,
      global: { headers: { authorization: `Bearer ${user.accessToken}` } },
    });
    const asService = createClient(url, secretKey, { auth });
    for (const [client, body] of [[asUser, {}], [asService, { userId: user.id }]] as const) {
      const { data, error, response } = await client.functions.invoke("provision-machine", {
        body,
      });
      assert.equal(error, null);
      assert.equal(data.status, "running");
      assert.equal((await stack.row(data.machineId)).user_id, user.id);
      assert.equal(response?.headers.get("x-request-id"), data.requestId);
    }
  });

  await t.step("with or without the function's name in the path", async () => {
    for (const [prefix, path] of PATHS) {
      const answer = await stack.fn.call(user, { prefix, path, body: {} });
      assert.equal(answer.status, 200, `${prefix}${path}`);
    }
  });

  await t.step("machine names are random", () => assertDistinctNames(stack));
});

const PATHS = [
  ["/provision-machine", ""],
  ["/provision-machine", "/"],
  ["", "/"],
  ["", ""],
  ["/functions/v1/provision-machine", ""],
] as const;

async function assertDistinctNames(stack: Stack): Promise<void> {
  const rows = await stack.supabase.sql<{ machine_id: string }>(
    "select machine_id from cloud_machines",
  );
  assert.ok(rows.length > 10);
  assert.equal(new Set(rows.map(({ machine_id }) => machine_id)).size, rows.length);
}

/** Opens a WebSocket and closes it after its first message. */
async function firstMessage(url: string): Promise<string> {
  const socket = new WebSocket(url);
  const closed = new Promise<void>((resolve) => {
    socket.onclose = () => resolve();
  });
  const message = await new Promise<string>((resolve, reject) => {
    socket.onmessage = ({ data }) => resolve(data);
    socket.onerror = () => reject(new Error(`no WebSocket at ${url}`));
  });
  socket.close();
  await closed;
  return message;
}
