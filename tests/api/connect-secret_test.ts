/** CONNECT_TOKEN_SECRET and the key that it gives each machine: used, and never shown. */
import assert from "node:assert/strict";
import { machineKey } from "../examples/tokens.ts";
import { assertConnection } from "../support/connection.ts";
import { assertError, assertFailedRow, assertProvisioned } from "../support/expectations.ts";
import { CONNECT_SECRET, startStack } from "../support/stack.ts";

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

  await t.step("a secret that is too short is named, and never shown", async () => {
    await using fn = await stack.start({ CONNECT_TOKEN_SECRET: "short-secret-of-31-characters-0" });
    const answer = await fn.call(user, { path: "/machine-0000000000000000/connect" });
    assertError(answer, 500, "configuration_error");
    assert.match(answer.body.message, /CONNECT_TOKEN_SECRET invalid: expected at least 32/);
  });

  await t.step("other settings that are missing do not matter to /connect", async () => {
    const { machine_id } = await assertProvisioned(stack, await stack.call(user, { body: {} }));
    await using fn = await stack.start({ FLY_API_TOKEN: undefined, DOCKER_IMAGE: "not valid" });
    await assertConnection(
      stack,
      await fn.call(user, { path: `/${machine_id}/connect` }),
      machine_id,
    );
  });

  await t.step("MACHINE_ENV does not override the key", async () => {
    await using fn = await stack.start({ MACHINE_ENV: '{"CONNECT_KEY":"from-machine-env"}' });
    const { machine_id } = await assertProvisioned(stack, await fn.call(user, { body: {} }));
    assert.equal(envOf(machine_id)["CONNECT_KEY"], machineKey(machine_id, CONNECT_SECRET));
  });

  // The stack searches all output, rows and events for the key of each machine.
  await t.step("the log shows that there is a key, but not its value", async () => {
    const answer = await stack.call(user, { body: {} });
    const { machine_id } = await assertProvisioned(stack, answer);
    const calling = (await stack.log(answer)).find(({ message }) => message.startsWith("Calling"));
    assert.match(JSON.stringify(calling), /"CONNECT_KEY":"\[REDACTED\]"/);
    assert.throws(() =>
      stack.secrets.assertAbsent(`<${machineKey(machine_id, CONNECT_SECRET)}>`, "this text")
    );
  });

  await t.step("Fly.io repeats the key of the machine that it refuses", async () => {
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
    "Fly.io repeats the environment of other machines, in an answer that cannot be parsed",
    async () => {
      const { machine_id } = await assertProvisioned(stack, await stack.call(user, { body: {} }));
      const env = envOf(machine_id);
      const list = JSON.stringify([{ config: { env } }]);
      for (const body of [list, list.slice(0, -9)]) {
        simulator.addFault({ match: { action: "list" }, times: 1, do: { kind: "garbage", body } });
        const { status, body: report } = await stack.reconcile();
        assert.equal(status, 200);
        assert.equal(report.failed, 1, JSON.stringify(report));
      }
      const log = JSON.stringify(stack.fn.events());
      assert.match(log, /CONNECT_KEY[\\":]+\[REDACTED\]/);
    },
  );
});
