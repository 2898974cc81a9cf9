/** The log: the contract's lines in the contract's order, in both formats, within their budget. */
import assert from "node:assert/strict";
import { assertError, assertProvisioned } from "../support/expectations.ts";
import { type Answer, FLY_APP, IMAGE, type LogEvent, startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";

const CHECKS = [
  "FLY_API_TOKEN: EXISTS (length: 42)",
  `FLY_APP_NAME: ${FLY_APP}`,
  `DOCKER_IMAGE: ${IMAGE}`,
];
const TIMESTAMP = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

Deno.test("the log, one JSON object per line", async (t) => {
  await using stack = await startStack({
    env: {
      MAX_MACHINES_PER_USER: "100",
      MACHINE_ENV: JSON.stringify({ SESSION_SECRET: "session-secret-Xr5Nq8Wt2Yk6" }),
    },
  });
  const user = await stack.supabase.createUser();

  await t.step("a success", async () => {
    const answer = await stack.call(user, { body: { region: "fra", cpuPriority: "high" } });
    const row = await assertProvisioned(stack, answer);
    const log = await stack.log(answer);
    assert.deepEqual(log.map(({ level, message }) => [level, message]), [
      ["info", "provision-machine invoked"],
      ["info", `Environment check: ${CHECKS.join(", ")}`],
      ["info", "Calling Fly.io API to create machine in fra..."],
      ["info", "Fly.io API response status: 200 OK"],
      ["info", `✅ Fly machine created successfully: ${row.fly_machine_id}`],
      ["info", "provision-machine finished: succeeded (HTTP 200)"],
    ]);
    assertCommonFields(log, answer, user.id);
    const [invoked, check, calling, response, created, summary] = log;
    assert.deepEqual([invoked?.["method"], invoked?.["path"]], ["POST", "/provision-machine"]);
    assert.deepEqual([check?.["region"], check?.["cpuPriority"]], ["fra", "high"]);
    const { app, machineName, image, requestBody } = calling as Record<string, unknown>;
    assert.deepEqual({ app, machineName, image }, {
      app: FLY_APP,
      machineName: row.machine_id,
      image: IMAGE,
    });
    const [sent] = stack.simulator.createBodiesOf(row.machine_id) as [{ config: object }];
    assert.deepEqual(requestBody, {
      ...sent,
      config: {
        ...sent.config,
        env: {
          SESSION_SECRET: "[REDACTED]",
          USER_ID: user.id,
          MACHINE_ID: row.machine_id,
          CPU_PRIORITY: "high",
          CONNECT_KEY: "[REDACTED]",
        },
      },
    });
    const [create, wait] = stack.simulator.requests();
    assert.equal(response?.["flyRequestId"], create?.requestId);
    assert.equal(created?.["region"], "fra");
    const { outcome, status, code, attempts, ms, durationMs } = summary as LogEvent;
    assert.deepEqual({ outcome, status, code, attempts }, {
      outcome: "succeeded",
      status: 200,
      code: undefined,
      attempts: 1,
    });
    for (const phase of ["auth", "claim", "create", "wait", "finish"]) {
      assert.ok(((ms as Record<string, number>)[phase] ?? NaN) >= 0, phase);
    }
    assert.ok(Number(durationMs) >= 0);
    assert.ok(wait);
  });

  await t.step("a failure", async () => {
    stack.simulator.addFault({
      match: { action: "create" },
      do: { kind: "status", status: 422, body: { error: "invalid config.image" } },
    });
    const answer = await stack.call(user, { body: {} });
    assertError(answer, 500, "fly_rejected");
    const log = await stack.log(answer);
    assert.deepEqual(log.map(({ level, stream, message }) => [level, stream, message]), [
      ["info", "stdout", "provision-machine invoked"],
      ["info", "stdout", `Environment check: ${CHECKS.join(", ")}`],
      ["info", "stdout", "Calling Fly.io API to create machine in iad..."],
      ["info", "stdout", "Fly.io API response status: 422 Unprocessable Entity"],
      [
        "error",
        "stderr",
        "❌ Fly.io provisioning failed: Fly.io answered 422: invalid config.image",
      ],
      ["info", "stdout", "provision-machine finished: fly_rejected (HTTP 500)"],
    ]);
    assertCommonFields(log, answer, user.id);
    const failure = log[4] as LogEvent;
    const error = failure["error"] as Record<string, string>;
    assert.deepEqual(Object.keys(error), ["name", "message", "stack"]);
    assert.match(error["stack"] ?? "", /^FlyError: Fly\.io answered 422.*\n {4}at /);
    const { code, flyStatus, flyBody, flyRequestId } = failure;
    assert.deepEqual({ code, flyStatus, flyBody }, {
      code: "fly_rejected",
      flyStatus: 422,
      flyBody: '{"error":"invalid config.image"}',
    });
    const asked = stack.simulator.requests().at(-1);
    assert.equal(flyRequestId, asked?.requestId);
    assert.deepEqual(log.at(-1)?.["flyRequestIds"], [asked?.requestId]);
  });

  await t.step("a failure without an answer names the newest Fly.io request id", async () => {
    const unavailable = { kind: "status" as const, status: 503, body: { error: "unavailable" } };
    stack.simulator.addFault({ match: { action: "create" }, do: unavailable });
    stack.simulator.addFault({
      match: { action: "create" },
      times: 4,
      do: { kind: "reset", when: "before" },
    });
    const answer = await stack.call(user, { body: {} });
    assertError(answer, 500, "fly_unavailable");
    const answered = stack.simulator.requests().findLast(({ status }) => status === 503);
    const error = (await stack.log(answer)).find(({ level }) => level === "error");
    assert.equal(error?.["flyRequestId"], answered?.requestId);
  });

  await t.step("an invalid request", async () => {
    const answer = await stack.call(user, { body: { region: "xyz" } });
    const log = await stack.log(answer);
    assert.deepEqual(log.map(({ message }) => message), [
      "provision-machine invoked",
      "provision-machine finished: invalid_request (HTTP 400)",
    ]);
    assert.equal(log.at(-1)?.["reason"], answer.body.error);
  });

  await t.step("LOG_LEVEL decides which events are logged", async (t) => {
    const messagesAt = async (level: string) => {
      await using fn = await stack.start({ LOG_LEVEL: level, FLY_APP_NAME: "no-such-app" });
      const { requestId } = await fn.call(user, { body: {} });
      await until("it is logged", () => fn.events().some((event) => event.level === "error"));
      if (["debug", "info"].includes(level)) await fn.log(requestId);
      await fn.stop();
      return fn.events().map((event) => event.level);
    };
    for (const level of ["error", "warning"]) {
      await t.step(level, async () => assert.deepEqual(await messagesAt(level), ["error"]));
    }
    await t.step("debug", async () => assert.ok((await messagesAt("debug")).includes("info")));
  });
});

Deno.test("the log as text", async (t) => {
  await using stack = await startStack({
    env: { LOG_FORMAT: "text", MAX_MACHINES_PER_USER: "100" },
  });
  const user = await stack.supabase.createUser();
  /** The lines of a finished request, without their time stamps. */
  const linesOf = async (answer: Answer) => {
    await until("the summary is logged", () => stack.fn.events(answer.requestId).length >= 6);
    return stack.fn.events(answer.requestId).flatMap(({ text }) => text.split("\n")).map((line) => {
      if (line.startsWith("  - ")) return line;
      const [, timestamp = "", rest = ""] = /^\[(\S+)\] (.*)$/.exec(line) ?? [];
      assert.match(timestamp, TIMESTAMP, line);
      return rest;
    });
  };

  await t.step("a success", async () => {
    const answer = await stack.call(user, { body: {} });
    const { machine_id, fly_machine_id } = await assertProvisioned(stack, answer);
    const lines = await linesOf(answer);
    assertInOrder(lines, [
      "========================================",
      "provision-machine invoked",
      "Method: POST",
      "Environment check:",
      ...CHECKS.map((check) => `  - ${check}`),
      "Calling Fly.io API to create machine in iad...",
      `  App: ${FLY_APP}`,
      `  Machine name: ${machine_id}`,
      `  Image: ${IMAGE}`,
      "Fly.io API response status: 200 OK",
      `✅ Fly machine created successfully: ${fly_machine_id}`,
      "provision-machine finished: succeeded (HTTP 200)",
    ]);
    const ids = lines.filter((line) => line.includes("requestId="));
    assert.equal(ids.length, 6);
    assert.ok(ids.every((line) => line.includes(answer.requestId)));
    assert.ok(ids.at(-1)?.includes(`machineId=${machine_id} userId=${user.id}`));
  });

  await t.step("a failure, with Fly.io's text in separate lines", async () => {
    stack.simulator.addFault({
      match: { action: "create" },
      do: { kind: "status", status: 500, body: "one line\n[2026-01-01T00:00:00.000Z] another" },
      times: "always",
    });
    const answer = await stack.call(user, { body: {} });
    stack.simulator.clearFaults();
    assertError(answer, 500, "fly_unavailable");
    const lines = await linesOf(answer);
    assert.ok(lines.some((line) => line.startsWith("❌ Fly.io provisioning failed: ")));
    assert.ok(lines.some((line) => line.includes('"stack":"FlyError: ')));
    // No line of the text looks like one of ours.
    const own = stack.fn.events(answer.requestId).flatMap(({ text }) => text.split("\n"));
    assert.ok(!own.some((line) => line.startsWith("[2026-01-01T00:00:00.000Z]")));
    await stack.supabase.sql(
      "update cloud_machines set reconcile_at = now()  where reconcile_at notnull",
    );
    assert.equal((await stack.reconcile()).status, 200);
  });
});

/** The first fields of every event, in this order. */
function assertCommonFields(log: LogEvent[], answer: Answer, userId: string): void {
  for (const [index, event] of log.entries()) {
    assert.match(event.timestamp, TIMESTAMP);
    const names = Object.keys(JSON.parse(event.text));
    assert.deepEqual(names.slice(0, 4), ["timestamp", "level", "message", "requestId"]);
    assert.equal(event.requestId, answer.requestId);
    assert.equal(event["userId"], index === 0 ? undefined : userId);
    assert.equal(event["machineId"], index < 2 ? undefined : answer.body.machineId);
  }
}

/** Asserts that all of `wanted` are among `lines`, in this order. */
function assertInOrder(lines: string[], wanted: string[]): void {
  let from = 0;
  for (const line of wanted) {
    const at = lines.indexOf(line, from);
    assert.ok(at >= 0, `"${line}" is missing after line ${from} of\n${lines.join("\n")}`);
    from = at + 1;
  }
}
