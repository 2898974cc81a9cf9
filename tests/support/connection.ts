/** What a connection must be, for the tests of POST /provision-machine/{machineId}/connect. */
import assert from "node:assert/strict";
import { checkConnectToken } from "../../examples/machine/connect-token.mjs";
import { machineKey } from "../examples/tokens.ts";
import { type Answer, CONNECT_SECRET, FLY_APP, type Stack } from "./stack.ts";

const KEYS = ["websocketUrl", "token", "expiresAt", "status", "machineId", "requestId"];

/** Asserts a success of exactly the contract's shape, with a token that the machine accepts. */
export async function assertConnection(
  stack: Stack,
  answer: Answer,
  machineId: string,
): Promise<void> {
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
