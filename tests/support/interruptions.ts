/** Events outside the function: its process dies, a machine appears at Fly.io. */
import assert from "node:assert/strict";
import type { LocalUser } from "../../dev/stack/supabase/mod.ts";
import { FLY_APP, FLY_TOKEN, type MachineRow, type Stack } from "./stack.ts";
import { until } from "./until.ts";

/** Kills the function once the machine is created and its id written, while it waits for the start. */
export function killWhileWaiting(stack: Stack): Promise<Killed> {
  return killWhile(stack, (row) => row.fly_machine_id !== null);
}

/** Kills the function in the middle of a provision, as soon as `when` holds, and starts it again. */
export async function killWhile(
  stack: Stack,
  when: (row: MachineRow) => boolean,
): Promise<Killed> {
  const user = await stack.supabase.createUser();
  const answer = stack.call(user, { body: {} }).catch((error: Error) => error);
  const row = await until("the moment has come", async () => {
    const [row] = await stack.rowsOf(user);
    return row !== undefined && when(row) && row;
  });
  await stack.fn.kill();
  assert.ok(await answer instanceof Error, "the caller gets no answer");
  assert.equal((await stack.row(row.machine_id)).status, "provisioning");
  await stack.restart();
  return { user, row };
}

/** Whose machine was being provisioned when the function was killed. */
export interface Killed {
  user: LocalUser;
  row: MachineRow;
}

/** Creates a machine that the function knows nothing of. */
export async function createAtFly(
  stack: Stack,
  name: string,
  config: Record<string, unknown> = {},
): Promise<void> {
  const response = await fetch(`${stack.fly.url}/v1/apps/${FLY_APP}/machines`, {
    method: "POST",
    headers: { authorization: `Bearer ${FLY_TOKEN}`, "content-type": "application/json" },
    body: JSON.stringify({ name, config: { image: "an/image", ...config } }),
  });
  assert.equal(response.status, 200, await response.text());
}
