/** Assertions of the contract's answers and of the rows behind them. */
import assert from "node:assert/strict";
import {
  CODES,
  type ErrorCode,
  type Retry,
} from "../../supabase/functions/provision-machine/errors.ts";
import type { Answer, MachineRow, Stack } from "./stack.ts";

const MACHINE_NAME = /^(machine|test-app)-[0-9a-f]{6}-[0-9a-z]{14}$/;

/**
 * Asserts that an answer is an error of exactly the contract's shape.
 *
 * @param extra fields that this error carries beyond those of every error
 */
export function assertError(
  answer: Answer,
  status: number,
  code: ErrorCode,
  extra: string[] = [],
): void {
  const { body } = answer;
  assert.equal(body.code, code, JSON.stringify(body));
  assert.equal(answer.status, status, JSON.stringify(body));
  assert.deepEqual(
    Object.keys(body).sort(),
    [...new Set(["error", "message", "code", "retry", "machineId", "requestId", ...extra])].sort(),
  );
  assert.ok(typeof body.error === "string" && body.error !== "");
  assert.ok(typeof body.message === "string" && body.message !== "");
  assert.equal(body.retry, expectedRetry(answer, code), JSON.stringify(body));
  assert.ok(body.machineId === null || MACHINE_NAME.test(body.machineId), body.machineId);
  assert.equal(body.requestId, answer.requestId);
  assert.match(answer.headers.get("content-type") ?? "", /^application\/json/);
}

/** The words for people and the field for programs say the same. */
function expectedRetry({ headers, body }: Answer, code: ErrorCode): Retry {
  if (/outcome is not known yet|may still say provisioning/.test(body.message)) return "same_key";
  return headers.has("retry-after") ? "new_key" : CODES[code].retry;
}

/** Asserts that an answer is a success of exactly the contract's shape. */
export function assertSuccess(
  answer: Answer,
  status: 200 | 202,
  machineStatus: "running" | "provisioning" | "stopped",
): void {
  const { body } = answer;
  assert.equal(answer.status, status, JSON.stringify(body));
  assert.deepEqual(Object.keys(body), [
    "machineId",
    "websocketUrl",
    "status",
    "message",
    "region",
    "flyMachineId",
    "requestId",
  ]);
  assert.match(body.machineId, MACHINE_NAME);
  assert.match(body.websocketUrl, /^wss?:\/\//);
  assert.equal(body.status, machineStatus);
  assert.ok(typeof body.message === "string" && body.message !== "");
  assert.equal(body.requestId, answer.requestId);
  assert.match(answer.headers.get("content-type") ?? "", /^application\/json/);
}

/** Asserts that an answer of 200 is true: the machine was seen started and the row says running. */
export async function assertProvisioned(stack: Stack, answer: Answer): Promise<MachineRow> {
  assertSuccess(answer, 200, "running");
  const { machineId, flyMachineId, websocketUrl, region } = answer.body;
  const row = await stack.row(machineId);
  assert.equal(row.status, "running");
  assert.equal(row.fly_machine_id, flyMachineId);
  assert.equal(row.websocket_url, websocketUrl);
  assert.equal(row.region, region);
  assert.equal(row.reconcile_at, null);
  assert.ok(row.provisioned_at);
  const machine = stack.simulator.machine(flyMachineId);
  assert.equal(machine?.state, "started");
  assert.equal(machine.name, machineId);
  assert.equal(machine.region, region);
  assert.deepEqual(stack.liveMachines(machineId), [flyMachineId]);
  return row;
}

/** Asserts that the row of a failure says so, and that no machine is left or reconcile is due. */
export async function assertFailedRow(
  stack: Stack,
  answer: Answer,
  left: "nothing left" | "left to reconcile" = "nothing left",
): Promise<MachineRow> {
  const row = await stack.row(answer.body.machineId);
  assert.equal(row.status, "error");
  assert.equal(row.error_code, answer.body.code);
  assert.equal(row.error_message, answer.body.error);
  if (left === "left to reconcile") assert.ok(row.reconcile_at);
  else assert.deepEqual(stack.liveMachines(row.machine_id), []);
  return row;
}
