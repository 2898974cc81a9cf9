// Every connection reaches the machine of the user who connected, and a bad token none; a short run of
// `deno task test:connections`.
import assert from "node:assert/strict";
import { connectAll } from "./connections.ts";
import { presentBadTokens } from "./intrusions.ts";
import { startOwnMachines, WAYS } from "./own-machines.ts";

const SEED = 20261129;
const USERS = 6;
const CONNECTIONS_PER_USER = 20;
const BAD_TOKENS = 60;

Deno.test(`with an app each, users reach their own machines and no others (seed ${SEED})`, async (t) => {
  await using machines = await startOwnMachines(USERS, SEED);
  const perWay = USERS / WAYS.length * CONNECTIONS_PER_USER;

  await t.step("directly and through the router", async () => {
    const arrived = { connections: perWay, own: perWay, anothers: 0, refused: 0, errors: 0 };
    assert.deepEqual(await connectAll(machines, CONNECTIONS_PER_USER), {
      direct: { ...arrived, examples: [] },
      router: { ...arrived, examples: [] },
    });
  });

  await t.step("no bad token opens a machine", async () => {
    const counts = await presentBadTokens(machines, BAD_TOKENS);
    for (const way of WAYS) {
      const { kinds, ...count } = counts[way];
      const tokens = BAD_TOKENS / WAYS.length;
      assert.deepEqual(count, { tokens, gotIn: 0, refused: tokens, errors: 0, examples: [] }, way);
      assert.ok(Object.keys(kinds).length >= 12, JSON.stringify(kinds));
    }
  });
});
