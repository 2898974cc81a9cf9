/** Answers: the bodies and headers of success and of every error, without secrets. */
import assert from "node:assert/strict";
import { AppError } from "../../supabase/functions/provision-machine/errors.ts";
import {
  errorResponse,
  jsonResponse,
} from "../../supabase/functions/provision-machine/http/responses.ts";
import {
  limitReached,
  machineResponse,
} from "../../supabase/functions/provision-machine/provision/responses.ts";
import { Redactor } from "../../supabase/functions/provision-machine/logging/redactor.ts";

const IDS = { requestId: "request-1", machineId: "machine-1" };
const JSON_TYPE = ["content-type", "application/json; charset=utf-8"];

Deno.test("responses: JSON with its status and headers", async () => {
  const response = jsonResponse(202, { status: "provisioning", none: null }, { "x-more": "1" });
  assert.equal(response.status, 202);
  assert.deepEqual([...response.headers], [JSON_TYPE, ["x-more", "1"]]);
  assert.equal(await response.text(), '{"status":"provisioning","none":null}');
});

Deno.test("responses: an error has the six fields, in the status of its code", async () => {
  const error = new AppError("fly_capacity", "No room", { retryAfterSeconds: 59.2 });
  const response = errorResponse(error, IDS, new Redactor());
  assert.equal(response.status, 500);
  assert.deepEqual([...response.headers], [JSON_TYPE, ["retry-after", "60"]]);
  assert.deepEqual(await response.json(), {
    error: "No room",
    message: error.hint,
    code: "fly_capacity",
    retry: "new_key",
    machineId: "machine-1",
    requestId: "request-1",
  });
});

Deno.test("responses: an error brings its own fields and headers, and names its own machine", async () => {
  const error = new AppError("machine_limit_reached", "Too many", {
    fields: { machineId: "machine-9", status: "running", code: "forged", retry: "same_key" },
    headers: { allow: "GET" },
  });
  const response = errorResponse(error, IDS, new Redactor());
  assert.equal(response.status, 409);
  assert.deepEqual([...response.headers], [["allow", "GET"], JSON_TYPE]);
  assert.deepEqual(await response.json(), {
    error: "Too many",
    message: error.hint,
    code: "machine_limit_reached",
    retry: "no",
    machineId: "machine-9",
    requestId: "request-1",
    status: "running",
  });
});

Deno.test("responses: no machine is null, and no Retry-After is sent where none helps", async () => {
  const error = new AppError("not_found", "Nothing here");
  const response = errorResponse(error, { requestId: "r", machineId: null }, new Redactor());
  assert.equal(response.headers.get("retry-after"), null);
  const { machineId } = await response.json();
  assert.equal(machineId, null);
});

Deno.test("responses: secrets are redacted wherever the error carries them", async () => {
  const secret = 'se"cret-0123';
  const redactor = new Redactor();
  redactor.protect([secret]);
  const error = new AppError("fly_rejected", `refused ${secret}`, {
    fields: { issues: [{ message: secret }] },
  });
  const response = errorResponse(error, { requestId: "r", machineId: secret }, redactor);
  const body = await response.json();
  assert.equal(body.error, "refused [REDACTED]");
  assert.equal(body.machineId, "[REDACTED]");
  assert.deepEqual(body.issues, [{ message: "[REDACTED]" }]);
});

const ROW = {
  id: "row-1",
  user_id: "user-1",
  machine_id: "machine-1",
  fly_machine_id: "fly-1",
  fly_app_name: "my-app",
  create_bucket: "my-app",
  region: "iad",
  websocket_url: "wss://my-app.fly.dev/machines/machine-1",
  destroy_requested_at: null,
  error_code: null,
  error_message: null,
  missing_since: null,
  failed_since: null,
  status: "running",
} as const;

Deno.test("responses: a machine as callers see it, in the contract's words", async () => {
  const response = machineResponse(200, ROW, "request-1", {
    headers: { "idempotency-replayed": "true" },
  });
  assert.equal(response.status, 200);
  assert.deepEqual([...response.headers], [JSON_TYPE, ["idempotency-replayed", "true"]]);
  assert.deepEqual(await response.json(), {
    machineId: "machine-1",
    websocketUrl: "wss://my-app.fly.dev/machines/machine-1",
    status: "running",
    message: "Machine provisioned successfully",
    region: "iad",
    flyMachineId: "fly-1",
    requestId: "request-1",
  });
  const messages = {
    provisioning: "Machine provisioning started",
    destroyed: "Machine destroyed",
  } as const;
  for (const status of ["provisioning", "destroyed"] as const) {
    const { message } = await machineResponse(202, { ...ROW, status }, "r").json();
    assert.equal(message, messages[status]);
  }
});

Deno.test("responses: at the limit the newest machine is named, so that it can be used", () => {
  const { code, retry, fields } = limitReached(ROW);
  assert.deepEqual([code, retry], ["machine_limit_reached", "no"]);
  assert.deepEqual(fields, {
    machineId: "machine-1",
    websocketUrl: "wss://my-app.fly.dev/machines/machine-1",
    status: "running",
  });
});

Deno.test("responses: at the limit a later try helps only while a machine is being destroyed", () => {
  assert.equal(limitReached(null).retry, "no");
  assert.equal(limitReached({ ...ROW, destroy_requested_at: "2026-01-01" }).retry, "new_key");
});
