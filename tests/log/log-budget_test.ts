/** However long the texts of upstreams and callers, the log stays in its budget and has no secret. */
import assert from "node:assert/strict";
import { assertError, assertFailedRow, assertProvisioned } from "../support/expectations.ts";
import { FLY_TOKEN, type Stack, startStack } from "../support/stack.ts";

const MACHINE_SECRET = "machine-secret-Zq7Lw2Xv9Rt4Kp8";
const WEBHOOK = "http://127.0.0.1:9/services/T0000/B0000/webhook-secret-Hn3Vb6";

// The budget and the secrets themselves are checked on all output when the stack ends: audit.ts.
Deno.test("the log's budget", async (t) => {
  await using stack = await startStack({ env: { MAX_MACHINES_PER_USER: "100" } });
  const user = await stack.supabase.createUser();

  await t.step("a success with a large environment", async () => {
    for (const count of [30, 300]) {
      const variables = Array.from({ length: count }, (_, n) => [
        `VARIABLE_WITH_A_RATHER_LONG_NAME_${n}`,
        `value number ${n} ${"of some length ".repeat(5)}`,
      ]);
      await using fn = await stack.start({
        MACHINE_ENV: JSON.stringify(Object.fromEntries(variables)),
      });
      const answer = await fn.call(user, { body: {} });
      await assertProvisioned(stack, answer);
      const calling = (await fn.log(answer.requestId))[2];
      assert.match(calling?.message ?? "", /^Calling Fly\.io API/);
      assert.ok(calling?.text.includes(answer.body.machineId));
    }
  });

  await t.step("a success with long names everywhere", async () => {
    await using fn = await stack.start({
      DOCKER_IMAGE: `registry.fly.io/${"path/".repeat(15)}image@sha256:${"0".repeat(64)}`,
      WEBSOCKET_URL_TEMPLATE: `wss://{app}.example.com/${"path/".repeat(40)}{machineId}`,
    });
    const headers = {
      "x-request-id": "r".repeat(128),
      traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01`,
    };
    await assertProvisioned(stack, await fn.call(user, { headers, body: {} }));
  });

  const bodies: Record<string, unknown> = {
    "a megabyte of text": "word ".repeat(200_000),
    "a megabyte in one JSON string": { error: "x".repeat(1_000_000) },
    "many fields": Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`field${n}`, n])),
    "control characters": { error: "\u0000\u0001\u001b[31mred\u001b[0m\r\n\u2028\t" },
    "half a surrogate pair at the cut": { error: `${"x".repeat(299)}😀${"x".repeat(900)}` },
    "an HTML page": `<html>${"<p>Bad gateway</p>".repeat(500)}</html>`,
    "nothing at all": "",
  };
  for (const [name, body] of Object.entries(bodies)) {
    await t.step(`Fly.io refuses with ${name}`, async () => {
      stack.simulator.addFault({
        match: { action: "create" },
        do: { kind: "status", status: 400, body },
      });
      const answer = await stack.call(user, { body: {} });
      assertError(answer, 500, "fly_rejected");
      assert.ok(answer.body.error.length < 1_000);
      await assertFailedRow(stack, answer);
      await stack.fn.failure(answer.requestId);
    });
  }

  await t.step("a text that was cut is marked as cut", async () => {
    stack.simulator.addFault({
      match: { action: "create" },
      do: { kind: "status", status: 400, body: { error: "x".repeat(50_000) } },
    });
    const answer = await stack.call(user, { body: {} });
    const failure = await stack.fn.failure(answer.requestId);
    assert.match(failure.message, /x…\[cut, \d+ characters in all\]$/);
  });

  await t.step("a success after many refusals", async () => {
    stack.simulator.addFault({
      match: { action: "create" },
      times: 15,
      do: { kind: "status", status: 429, headers: { "retry-after": "0" } },
    });
    const answer = await stack.call(user, { body: {} });
    await assertProvisioned(stack, answer);
    assert.equal((await stack.log(answer)).at(-1)?.["attempts"], 16);
  });
});

Deno.test("no secret leaves", async (t) => {
  await using stack = await startStack({
    env: {
      MAX_MACHINES_PER_USER: "1000",
      MACHINE_ENV: JSON.stringify({ PASSWORD: MACHINE_SECRET }),
      ALERT_WEBHOOK_URL: WEBHOOK,
      ALERT_FAILURE_THRESHOLD: "1000000",
    },
  });
  const user = await stack.supabase.createUser();
  const { secretKey, serviceRoleKey } = stack.supabase;
  const secrets = {
    FLY_API_TOKEN: FLY_TOKEN,
    SUPABASE_SECRET_KEYS: secretKey,
    SUPABASE_SERVICE_ROLE_KEY: serviceRoleKey,
    MACHINE_ENV: MACHINE_SECRET,
    ALERT_WEBHOOK_URL: WEBHOOK,
    "the caller's token": user.accessToken,
  };

  for (const [name, secret] of Object.entries(secrets)) {
    await t.step(`Fly.io repeats ${name} in its refusal`, async () => {
      for (const echo of echoes(secret)) {
        await refuse(stack, { error: echo });
        await refuse(stack, echo);
      }
    });
  }

  await t.step("a secret at the point where a text is cut", async () => {
    for (const at of [160, 300, 600, 1_200, 2_000, 2_400, 4_500]) {
      for (const before of [8, 20, 34]) await refuse(stack, "x".repeat(at - before) + FLY_TOKEN);
      await refuse(stack, { error: "x".repeat(at - 20) + FLY_TOKEN, status: "unknown" });
    }
  });

  await t.step("Fly.io repeats the token in answers to wait, look-up and delete", async () => {
    const body = { error: `bad token ${FLY_TOKEN}` };
    for (const action of ["wait", "get", "delete"] as const) {
      stack.simulator.addFault({
        match: { action, region: "ams" },
        times: "always",
        do: { kind: "status", status: 401, body },
      });
    }
    const answer = await stack.call(user, { body: { region: "ams" } });
    assertError(answer, 500, "fly_unauthorized");
    await stack.log(answer);
    stack.simulator.clearFaults();
    await stack.makeDue(answer.body.machineId);
    assert.equal((await stack.reconcile()).status, 200);
  });

  await t.step(
    "the reason of a machine's failure repeats a secret of its environment",
    async () => {
      stack.simulator.addFault({
        match: { action: "create" },
        do: { kind: "fails", state: "failed", reason: `no login with ${MACHINE_SECRET}` },
      });
      const answer = await stack.call(user, { body: {} });
      assertError(answer, 500, "machine_failed");
      await stack.log(answer);
    },
  );

  await t.step("the database repeats the key that it was called with", async () => {
    stack.supabase.addFault({
      match: { rpc: "claim_machine" },
      do: {
        kind: "status",
        status: 400,
        body: { message: `bad key ${secretKey}`, code: "XX000", details: FLY_TOKEN, hint: null },
      },
    });
    const answer = await stack.call(user, { body: {} });
    assertError(answer, 500, "database_error");
    await stack.log(answer);
  });

  await t.step("a caller sends secrets where none belong", async () => {
    const path = `/${secretKey}`;
    assertError(await stack.call(user, { method: "DELETE", path }), 404, "not_found");
    const headers = { "x-request-id": FLY_TOKEN };
    const answer = await stack.call(user, { headers, path: "/no/such/path" });
    assert.notEqual(answer.requestId, FLY_TOKEN);
    const body = { [FLY_TOKEN]: MACHINE_SECRET };
    assertError(await stack.call(user, { body }), 400, "invalid_request", ["issues"]);
    assertError(
      await stack.call(null, { headers: { apikey: `${secretKey}x` }, body: {} }),
      401,
      "unauthorized",
    );
  });

  await t.step("the secrets were really sent", () => {
    const sent = stack.simulator.createBodies.at(-1) as { config: { env: { PASSWORD: string } } };
    assert.equal(sent.config.env.PASSWORD, MACHINE_SECRET);
    for (const secret of Object.values(secrets)) {
      for (const echo of [secret, ...echoes(secret)]) {
        assert.throws(() => stack.secrets.assertAbsent(`text ${echo} text`, "this text"));
      }
    }
  });

  async function refuse(stack: Stack, body: unknown): Promise<void> {
    stack.simulator.addFault({
      match: { action: "create" },
      do: { kind: "status", status: 422, body },
    });
    const answer = await stack.call(user, { body: {} });
    assertError(answer, 500, "fly_rejected");
  }
});

/** The forms in which a secret appears in messages of upstreams. */
function echoes(secret: string): string[] {
  return [
    `invalid token ${secret}`,
    `Authorization: Bearer ${secret}`,
    `https://example.com/?token=${encodeURIComponent(secret)}&more=1`,
    `encoded as ${btoa(secret)} it was`,
    `Authorization: Basic ${btoa(`x:${secret}`)}`,
    `Authorization: Basic ${btoa(`xy:${secret}`)}`,
    `{"nested":${JSON.stringify(JSON.stringify({ token: secret }))}}`,
  ];
}
