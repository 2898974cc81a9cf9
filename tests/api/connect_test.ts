/** POST /provision-machine/{machineId}/connect, and the key that makes its tokens worth something. */
import assert from "node:assert/strict";
import { checkConnectToken } from "../../examples/machine/connect-token.mjs";
import type { LocalUser } from "../../dev/stack/supabase/mod.ts";
import { machineKey } from "../examples/tokens.ts";
import { assertError, assertFailedRow, assertProvisioned } from "../support/expectations.ts";
import { type Answer, CONNECT_SECRET, FLY_APP, type Stack, startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";

const KEYS = ["websocketUrl", "token", "expiresAt", "status", "machineId", "requestId"];

Deno.test("connecting to a machine", async (t) => {
  await using stack = await startStack();
  const { simulator, supabase } = stack;
  const provision = async () => {
    const user = await supabase.createUser();
    return { user, row: await assertProvisioned(stack, await stack.call(user, { body: {} })) };
  };
  const connect = (user: LocalUser | null, machineId: string) =>
    stack.call(user, { path: `/${machineId}/connect` });

  await t.step("the owner gets a token that the machine accepts, for a minute", async () => {
    const { user, row } = await provision();
    simulator.clearRequests();
    const before = Date.now();
    const answer = await connect(user, row.machine_id);
    const after = Date.now();
    await assertToken(stack, answer, row.machine_id);
    const { body, headers } = answer;
    assert.deepEqual([body.websocketUrl, body.status], [row.websocket_url, "running"]);
    assert.equal(headers.get("cache-control"), "no-store");
    const expiresAt = Date.parse(body.expiresAt);
    assert.ok(expiresAt > before + 59_000 && expiresAt <= after + 60_000, body.expiresAt);
    assert.deepEqual(simulator.requests(), [], "Fly.io was called");
  });

  await t.step("a service gets a token for the owner", async () => {
    const { row } = await provision();
    const answer = await stack.callAsService({ path: `/${row.machine_id}/connect` });
    await assertToken(stack, answer, row.machine_id);
  });

  await t.step("through the gateway, with a slash at the end, twice", async () => {
    const { user, row } = await provision();
    for (const end of ["", "/"]) {
      const response = await fetch(
        `${supabase.url}/functions/v1/provision-machine/${row.machine_id}/connect${end}`,
        {
          method: "POST",
          headers: { authorization: `Bearer ${user.accessToken}`, apikey: supabase.publishableKey },
        },
      );
      assert.equal(response.status, 200);
      stack.secrets.add("a connect token", (await response.json()).token);
    }
  });

  await t.step("404 for anyone else, as if there were none", async () => {
    const { row } = await provision();
    const stranger = await supabase.createUser();
    const answers = [
      await connect(stranger, row.machine_id),
      await connect(stranger, "machine-0000000000000000"),
      await connect(stranger, "health"),
      await connect(stranger, "%00"),
      await connect(stranger, "%E0%A4%A"),
      await connect(stranger, encodeURIComponent(`${row.machine_id}","x`)),
      await stack.callAsService({ path: "/machine-0000000000000000/connect" }),
    ];
    for (const answer of answers) {
      assertError(answer, 404, "not_found");
      assert.deepEqual(
        [answer.body.error, answer.body.message, answer.body.machineId],
        [answers[0]?.body.error, answers[0]?.body.message, null],
      );
    }
    assertError(await connect(null, row.machine_id), 401, "unauthorized");
    assertError(
      await stack.call(stranger, { method: "DELETE", path: `/${row.machine_id}/connect` }),
      405,
      "method_not_allowed",
    );
  });

  await t.step("409 while it is being provisioned, with Retry-After", async () => {
    const user = await supabase.createUser();
    simulator.addFault({ match: { action: "create" }, do: { kind: "never-starts" } });
    const provisioning = stack.call(user, { body: {} });
    const machineId = await until("Fly.io has the machine", async () => {
      const [row] = await stack.rowsOf(user);
      return row?.fly_machine_id && row.machine_id;
    });
    assertConflict(await connect(user, machineId), machineId, /still being provisioned/, "5");
    await stack.call(user, { method: "DELETE", path: `/${machineId}` });
    await provisioning;
    assertConflict(await connect(user, machineId), machineId, /was destroyed/, null);
  });

  await t.step("409 from the moment at which its owner destroys it", async () => {
    const { user, row: { machine_id: machineId } } = await provision();
    simulator.addFault({
      match: { action: "delete" },
      times: "always",
      do: { kind: "status", status: 503, body: { error: "unavailable" } },
    });
    assert.equal((await stack.call(user, { method: "DELETE", path: `/${machineId}` })).status, 500);
    assert.equal((await stack.row(machineId)).status, "running");
    assertConflict(await connect(user, machineId), machineId, /is being destroyed/, "5");
    simulator.clearFaults();
    await stack.call(user, { method: "DELETE", path: `/${machineId}` });
    assertConflict(await connect(user, machineId), machineId, /was destroyed/, null);
  });

  await t.step("409 once its owner was deleted", async () => {
    const { user, row: { machine_id: machineId } } = await provision();
    await supabase.sql("delete from auth.users where id = $1", [user.id]);
    const answer = await stack.callAsService({ path: `/${machineId}/connect` });
    assertConflict(answer, machineId, /is being destroyed/, "5");
    await stack.callAsService({ method: "DELETE", path: `/${machineId}` });
  });

  await t.step("409 if it failed, and its code", async () => {
    const user = await supabase.createUser();
    simulator.setCapacity("ams", false);
    const { machineId } = (await stack.call(user, { body: { region: "ams" } })).body;
    assertConflict(await connect(user, machineId), machineId, /failed \(fly_capacity\)/, null);
  });

  await t.step("the log has two events, and no token", async () => {
    const { user, row } = await provision();
    const answer = await connect(user, row.machine_id);
    await assertToken(stack, answer, row.machine_id);
    const events = await stack.log(answer);
    assert.deepEqual(events.map(({ message }) => message), [
      "provision-machine invoked",
      "provision-machine finished: succeeded (HTTP 200)",
    ]);
    assert.deepEqual([events[1]?.machineId, events[1]?.userId], [row.machine_id, user.id]);
    stack.secrets.assertAbsent(JSON.stringify(events), "the log");
  });

  await t.step("the database is out: 500, and no alert about provisioning", async () => {
    const { user, row } = await provision();
    supabase.setOutage({ services: ["rest"] });
    const answer = await connect(user, row.machine_id);
    supabase.setOutage(false);
    assertError(answer, 500, "database_error");
    assert.match((await stack.fn.failure(answer.requestId)).message, /^❌ Request failed/);
  });
});

Deno.test("the secret behind connect tokens", async (t) => {
  await using stack = await startStack({ env: { MAX_MACHINES_PER_USER: "100" } });
  const { simulator } = stack;
  const user = await stack.supabase.createUser();
  const envOf = (machineId: string) => {
    const [body] = stack.simulator.createBodiesOf(machineId);
    return (body as { config: { env: Record<string, string> } }).config.env;
  };

  await t.step("without it no machine has a key, and only /connect fails", async () => {
    await using fn = await stack.start({
      CONNECT_TOKEN_SECRET: undefined,
      MACHINE_ENV: JSON.stringify({ CONNECT_KEY: "the-same-key-for-all-machines" }),
    });
    const { machine_id } = await assertProvisioned(stack, await fn.call(user, { body: {} }));
    assert.equal(envOf(machine_id)["CONNECT_KEY"], undefined);
    const answer = await fn.call(user, { path: `/${machine_id}/connect` });
    assertError(answer, 500, "configuration_error");
    assert.match(answer.body.error, /^CONNECT_TOKEN_SECRET not configured/);
    assert.match(answer.body.message, /CONNECT_TOKEN_SECRET missing/);
    const { message } = await fn.failure(answer.requestId);
    assert.match(message, /^CRITICAL ERROR: CONNECT_TOKEN_SECRET not configured/);
    const destroyed = await fn.call(user, { method: "DELETE", path: `/${machine_id}` });
    assert.equal(destroyed.status, 200);
  });

  await t.step("one that is too short is named, and never shown", async () => {
    await using fn = await stack.start({ CONNECT_TOKEN_SECRET: "short-secret-of-31-characters-0" });
    const answer = await fn.call(user, { path: "/machine-0000000000000000/connect" });
    assertError(answer, 500, "configuration_error");
    assert.match(answer.body.message, /CONNECT_TOKEN_SECRET invalid: expected at least 32/);
  });

  await t.step("other settings that are missing do not matter to /connect", async () => {
    const { machine_id } = await assertProvisioned(stack, await stack.call(user, { body: {} }));
    await using fn = await stack.start({ FLY_API_TOKEN: undefined, DOCKER_IMAGE: "not valid" });
    await assertToken(stack, await fn.call(user, { path: `/${machine_id}/connect` }), machine_id);
  });

  await t.step("MACHINE_ENV does not override the key", async () => {
    await using fn = await stack.start({ MACHINE_ENV: '{"CONNECT_KEY":"from-machine-env"}' });
    const { machine_id } = await assertProvisioned(stack, await fn.call(user, { body: {} }));
    assert.equal(envOf(machine_id)["CONNECT_KEY"], machineKey(machine_id, CONNECT_SECRET));
  });

  // The stack searches all output, rows and events for the key of each machine.
  await t.step("the log shows that there is a key, and not which", async () => {
    const answer = await stack.call(user, { body: {} });
    const { machine_id } = await assertProvisioned(stack, answer);
    const calling = (await stack.log(answer)).find(({ message }) => message.startsWith("Calling"));
    assert.match(JSON.stringify(calling), /"CONNECT_KEY":"\[REDACTED\]"/);
    assert.throws(() =>
      stack.secrets.assertAbsent(`<${machineKey(machine_id, CONNECT_SECRET)}>`, "this text")
    );
  });

  await t.step("Fly.io repeats the key of the machine that it is asked for", async () => {
    const repeat = simulator.onConnectKey;
    for (const prefer of ["", "respond-async"]) {
      simulator.addFault({ match: { action: "create" }, do: { kind: "status", status: 503 } });
      simulator.onConnectKey = (key) => {
        repeat(key);
        simulator.onConnectKey = repeat;
        simulator.addFault({
          match: { action: "create" },
          do: { kind: "status", status: 422, body: { error: `no ${key} ${btoa(`key ${key}`)}` } },
        });
      };
      const answer = await stack.call(user, { body: {}, headers: { prefer } });
      await stack.log(answer);
      if (prefer === "") await assertFailedRow(stack, answer);
      const { error_message } = await stack.row(answer.body.machineId);
      assert.match(error_message ?? "", /no \[REDACTED\]/);
    }
  });

  await t.step(
    "Fly.io repeats the environment of other machines, and it makes no sense",
    async () => {
      const { machine_id } = await assertProvisioned(stack, await stack.call(user, { body: {} }));
      const env = envOf(machine_id);
      for (
        const body of [[{ config: { env } }], JSON.stringify({ config: { env } }).slice(0, -9)]
      ) {
        simulator.addFault({
          match: { action: "list" },
          times: 1,
          do: { kind: "garbage", body: typeof body === "string" ? body : JSON.stringify(body) },
        });
        const { status, body: report } = await stack.reconcile();
        assert.equal(status, 200);
        assert.equal(report.failed, 1, JSON.stringify(report));
      }
      const log = JSON.stringify(stack.fn.events());
      assert.match(log, /CONNECT_KEY[\\":]+\[REDACTED\]/);
    },
  );
});

/** Asserts a success of exactly the contract's shape, with a token that the machine lets in. */
async function assertToken(stack: Stack, answer: Answer, machineId: string): Promise<void> {
  const { status, body } = answer;
  assert.equal(status, 200, JSON.stringify(body));
  assert.deepEqual(Object.keys(body), KEYS);
  assert.deepEqual([body.machineId, body.requestId], [machineId, answer.requestId]);
  stack.secrets.add("a connect token", body.token);
  const row = await stack.row(machineId);
  const claims = await checkConnectToken(`/?token=${body.token}`, {
    machineId,
    key: machineKey(machineId, CONNECT_SECRET),
  });
  const { iat, exp, ...others } = claims;
  assert.deepEqual([exp - iat, exp * 1_000], [60, Date.parse(body.expiresAt)]);
  assert.deepEqual(others, {
    aud: machineId,
    sub: row.user_id,
    iss: stack.supabase.url,
    app: FLY_APP,
    machine: row.fly_machine_id,
  });
}

function assertConflict(
  answer: Answer,
  machineId: string,
  error: RegExp,
  retryAfter: string | null,
): void {
  assertError(answer, 409, "machine_state_conflict");
  assert.match(answer.body.error, error);
  assert.equal(answer.body.machineId, machineId);
  assert.equal(answer.headers.get("retry-after"), retryAfter);
  assert.match(answer.body.message, retryAfter === null ? /^Provision another/ : /once|shortly/);
}
