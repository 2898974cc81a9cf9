/** One request's log: the contract's words, the ids on each event, and the budget of ten events. */
import assert from "node:assert/strict";
import type { LogRecord } from "@logtape/logtape";
import { VirtualClock } from "../../dev/stack/clock.ts";
import { AppError } from "../../supabase/functions/provision-machine/errors.ts";
import { FlyError } from "../../supabase/functions/provision-machine/fly/errors.ts";
import { RequestLog } from "../../supabase/functions/provision-machine/logging/request-log.ts";
import { captureLog } from "./captured-log.ts";

const HAPPENED_AT = "2030-01-01T00:00:00.000Z";

function openLog(traceId?: string) {
  const captured = captureLog();
  const clock = new VirtualClock(Date.parse(HAPPENED_AT));
  return { ...captured, clock, log: new RequestLog(captured.logger, clock, "request-1", traceId) };
}

/** The lines of `LOG_FORMAT=text` of one record. */
function textOf(record: LogRecord | undefined): string[] {
  const text = record?.properties["text"];
  const lines: unknown = typeof text === "function" ? text() : undefined;
  assert.ok(Array.isArray(lines));
  return lines;
}

Deno.test("request log: a success in the contract's words", () => {
  const { log, lines, records } = openLog("trace-1");
  log.invoked("POST", "/provision-machine");
  log.identify({ machineId: "machine-1", userId: "user-1" });
  const texts = { FLY_API_TOKEN: " fo1_12345 ", FLY_APP_NAME: "my-app", DOCKER_IMAGE: "image:1" };
  log.environmentCheck(texts, [], { region: "iad", cpuPriority: "normal" });
  const body = { name: "machine-1" };
  log.callingFly({
    region: "iad",
    app: "my-app",
    machineName: "machine-1",
    image: "image:1",
    body,
  });
  log.flyResponse(200, "OK", { durationMs: 12 });
  log.flyMachineCreated("fly-1", "iad");
  log.summary({ outcome: "running", status: 200, fields: { attempts: 1 } });

  assert.deepEqual(lines(), [
    "info: provision-machine invoked",
    "info: Environment check: FLY_API_TOKEN: EXISTS (length: 9), FLY_APP_NAME: my-app, DOCKER_IMAGE: image:1",
    "info: Calling Fly.io API to create machine in iad...",
    "info: Fly.io API response status: 200 OK",
    "info: ✅ Fly machine created successfully: fly-1",
    "info: provision-machine finished: running (HTTP 200)",
  ]);
  assert.deepEqual(records.slice(0, 3).map(textOf), [
    [
      "========================================",
      "provision-machine invoked",
      "Method: POST",
    ],
    [
      "Request: userId=user-1, region=iad, cpuPriority=normal",
      "Environment check:",
      "  - FLY_API_TOKEN: EXISTS (length: 9)",
      "  - FLY_APP_NAME: my-app",
      "  - DOCKER_IMAGE: image:1",
    ],
    [
      "Calling Fly.io API to create machine in iad...",
      "  App: my-app",
      "  Machine name: machine-1",
      "  Image: image:1",
      'Fly.io API request body: {"name":"machine-1"}',
    ],
  ]);
  const { requestId, traceId, machineId } = records[0]?.properties ?? {};
  assert.deepEqual([requestId, traceId, machineId], ["request-1", "trace-1", undefined]);
  for (const { properties } of records.slice(1)) {
    const { requestId, traceId, machineId, userId } = properties;
    assert.deepEqual(
      [requestId, traceId, machineId, userId],
      ["request-1", "trace-1", "machine-1", "user-1"],
    );
  }
  assert.equal(records.at(-1)?.properties["attempts"], 1);
  assert.equal(records.at(-1)?.properties["suppressedEvents"], undefined);
});

Deno.test("request log: variables that are missing or invalid are not shown", () => {
  const { log, lines } = openLog();
  const texts = { FLY_API_TOKEN: " ", FLY_APP_NAME: "fo1_a-token-by-mistake X" };
  log.environmentCheck(texts, [{ variable: "FLY_APP_NAME" }, { variable: "DOCKER_IMAGE" }], {});
  assert.deepEqual(lines(), [
    "info: Environment check: FLY_API_TOKEN: MISSING ❌, FLY_APP_NAME: INVALID ❌, DOCKER_IMAGE: MISSING ❌",
  ]);
});

Deno.test("request log: each kind of failure, with its stack and Fly.io's answer", () => {
  const { log, lines, records } = openLog();
  const cause = new FlyError("status", "Fly.io answered 422: no", {
    status: 422,
    body: "x".repeat(601),
    flyRequestId: "fly-request-1",
  });
  cause.attempt = 3;
  const error = new AppError("fly_rejected", "Fly.io answered 422: no", { cause });
  log.provisioningFailed(error, { ms: {}, flyRequestId: "earlier" });
  log.requestFailed(new AppError("internal_error", "An unexpected error happened"), {
    flyRequestId: "earlier",
  });
  log.critical(new AppError("configuration_error", "FLY_API_TOKEN not configured"));
  log.errorEvent("Another failure", error);
  log.errorEvent("A stranger", "just a text");
  assert.deepEqual(lines(), [
    "error: ❌ Fly.io provisioning failed: Fly.io answered 422: no",
    "error: ❌ Request failed: An unexpected error happened",
    "error: CRITICAL ERROR: FLY_API_TOKEN not configured",
    "error: Another failure",
    "error: A stranger",
  ]);
  const { code, flyStatus, flyRequestId, flyBody, attempt } = records[0]?.properties ?? {};
  assert.deepEqual({ code, flyStatus, flyRequestId, flyBody, attempt }, {
    code: "fly_rejected",
    flyStatus: 422,
    flyRequestId: "fly-request-1",
    flyBody: `${"x".repeat(600)}…[cut, 601 characters in all]`,
    attempt: 3,
  });
  assert.deepEqual(records[0]?.properties["error"], {
    name: "FlyError",
    message: cause.message,
    stack: cause.stack,
  });
  // A failure without an answer names the newest one that there was.
  assert.equal(records[1]?.properties["flyRequestId"], "earlier");
  assert.equal(records[3]?.properties["code"], "fly_rejected");
  assert.deepEqual(records[4]?.properties["error"], {
    name: "Unknown",
    message: "just a text",
    stack: "N/A",
  });
  const [line, details] = textOf(records[0]);
  assert.equal(line, "❌ Fly.io provisioning failed: Fly.io answered 422: no");
  assert.match(details ?? "", /^Error details: \{"code":"fly_rejected","ms":\{\},/);
});

Deno.test("request log: a deferred warning is logged before a failure, and never with a success", () => {
  const success = openLog();
  success.log.deferWarning("Fly.io create failed", { attempt: 1 });
  success.log.summary({ outcome: "running", status: 200 });
  assert.deepEqual(success.lines(), ["info: provision-machine finished: running (HTTP 200)"]);

  const failure = openLog();
  failure.log.deferWarning("Fly.io create failed", { attempt: 1 });
  failure.clock.jump(5_000);
  failure.log.provisioningFailed(new AppError("fly_capacity", "No room"));
  failure.log.errorEvent("Another failure", new Error("again"));
  failure.log.summary({ outcome: "error", status: 500, code: "fly_capacity" });
  assert.deepEqual(failure.lines(), [
    "warning: Fly.io create failed",
    "error: ❌ Fly.io provisioning failed: No room",
    "error: Another failure",
    "info: provision-machine finished: fly_capacity (HTTP 500)",
  ]);
  const { happenedAt, attempt, requestId } = failure.records[0]?.properties ?? {};
  assert.deepEqual([happenedAt, attempt, requestId], [HAPPENED_AT, 1, "request-1"]);
});

Deno.test("request log: whatever happens, at most ten events, and the failure and summary are there", () => {
  for (const infos of [0, 3, 50]) {
    for (const warnings of [0, 3, 50]) {
      for (const errors of [0, 1, 50]) {
        const { log, lines, records } = openLog();
        for (let n = 0; n < infos; n++) log.info(`info ${n}`);
        for (let n = 0; n < warnings; n++) log.deferWarning(`warning ${n}`);
        log.provisioningFailed(new AppError("fly_capacity", "No room"));
        for (let n = 0; n < errors; n++) log.errorEvent(`error ${n}`, new Error("x"));
        log.summary({ outcome: "error", status: 500 });
        const said = lines();
        assert.ok(said.length <= 10, `${said.length} events`);
        assert.ok(said.includes("error: ❌ Fly.io provisioning failed: No room"));
        assert.equal(said.at(-1), "info: provision-machine finished: error (HTTP 500)");
        // Those that were admitted are the first of their kind.
        if (errors > 0) assert.ok(said.includes("error: error 0"));
        const suppressed = infos + warnings + errors + 2 - said.length;
        assert.equal(records.at(-1)?.properties["suppressedEvents"], suppressed || undefined);
      }
    }
  }
});

Deno.test("request log: six warnings are logged with a failure, and three events can follow", () => {
  const { log, lines } = openLog();
  for (let n = 0; n < 20; n++) log.deferWarning(`warning ${n}`);
  log.provisioningFailed(new AppError("fly_capacity", "No room"));
  assert.equal(lines().length, 7);
  for (let n = 0; n < 20; n++) log.errorEvent(`error ${n}`, new Error("x"));
  log.summary({ outcome: "error", status: 500 });
  assert.deepEqual(lines().slice(5), [
    "warning: warning 5",
    "error: ❌ Fly.io provisioning failed: No room",
    "error: error 0",
    "info: provision-machine finished: error (HTTP 500)",
  ]);
});

Deno.test("request log: six infos fit, and four events stay reserved after them", () => {
  const { log, lines } = openLog();
  for (let n = 0; n < 20; n++) log.info(`info ${n}`);
  assert.equal(lines().length, 6);
  for (let n = 0; n < 20; n++) log.errorEvent(`error ${n}`, new Error("x"));
  assert.equal(lines().length, 8);
  log.provisioningFailed(new AppError("fly_capacity", "No room"));
  log.summary({ outcome: "error", status: 500 });
  assert.equal(lines().length, 10);
});

Deno.test("request log: after the summary, events refer to the request instead of belonging to it", () => {
  const { log, records } = openLog();
  log.afterSummary("The alert webhook failed", new Error("503"), { attempt: 2 });
  const { afterRequestId, requestId, attempt } = records[0]?.properties ?? {};
  assert.deepEqual([afterRequestId, requestId, attempt], ["request-1", undefined, 2]);
});
