/** A stranger's app has the name of a machine that is to be made: it gets another in the same request. */
import assert from "node:assert/strict";
import { assertError, assertFailedRow, assertProvisioned } from "../support/expectations.ts";
import { killWhile } from "../support/interruptions.ts";
import { assertRun } from "../support/reconcile-run.ts";
import { FLY_TOKEN, type Stack, startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";

const OWN_APP = { FLY_ORG_SLUG: "personal" };
const STRANGERS = "strangers";
const REACHES_STRANGERS = { tokens: [FLY_TOKEN, { token: FLY_TOKEN, organization: STRANGERS }] };

/** Lets strangers have the names of the next `count` apps. Returns those that they took. */
function letStrangersTake({ simulator }: Stack, count: number): string[] {
  const taken: string[] = [];
  simulator.beforeAppCreate = (name) => {
    if (taken.length >= count || taken.includes(name)) return;
    simulator.addApp(name, STRANGERS, name);
    taken.push(name);
  };
  return taken;
}

function assertStrangersKeep({ simulator }: Stack, taken: readonly string[]): void {
  for (const name of taken) {
    assert.equal(simulator.world.app(name)?.organization, STRANGERS, name);
    assert.ok(!simulator.machines().some(({ app }) => app === name), `a machine in ${name}`);
  }
}

Deno.test("a taken name", async (t) => {
  await using stack = await startStack({ env: OWN_APP });
  const { simulator, supabase } = stack;

  for (const foreignApp of [403, 404] as const) {
    await t.step(`Fly.io answers ${foreignApp} for it: another is chosen`, async () => {
      simulator.configure({ foreignApp });
      const taken = letStrangersTake(stack, 1);
      const user = await supabase.createUser();
      const answer = await stack.call(user, { body: {} });
      const row = await assertProvisioned(stack, answer);
      assert.notEqual(row.machine_id, taken[0]);
      assert.equal(row.fly_app_name, row.machine_id);
      assert.equal(row.websocket_url, `wss://${row.machine_id}.fly.dev`);
      const [body] = simulator.createBodiesOf(row.machine_id);
      const { config } = body as { config: { env: Record<string, string> } };
      assert.equal(config.env["MACHINE_ID"], row.machine_id);
      const renamed = (await stack.historyOf(row.machine_id)).filter(({ kind }) =>
        kind === "renamed"
      );
      assert.deepEqual(renamed.map(({ detail }) => detail), [
        { from: taken[0], to: row.machine_id },
      ]);
      assert.equal((await stack.rowsOf(user)).length, 1);
      assertStrangersKeep(stack, taken);
    });
  }
  simulator.configure({ foreignApp: 403 });

  await t.step("a 202 gave it to its caller: it still leads to the machine", async () => {
    const taken = letStrangersTake(stack, 1);
    const user = await supabase.createUser();
    const headers = { "idempotency-key": "async", prefer: "respond-async" };
    const accepted = await stack.call(user, { body: {}, headers });
    assert.equal(accepted.status, 202);
    const { machineId: first } = accepted.body;
    const [row] = await until("it runs", async () => {
      const rows = await stack.rowsOf(user);
      return rows[0]?.status === "running" && rows;
    });
    assert.deepEqual(taken, [first]);
    assert.ok(row && row.machine_id !== first);
    const again = await stack.call(user, { body: {}, headers: { "idempotency-key": "async" } });
    assert.deepEqual([again.status, again.body.machineId], [200, row.machine_id]);
    const connected = await stack.call(user, { path: `/${first}/connect` });
    assert.deepEqual([connected.status, connected.body.machineId], [200, row.machine_id]);
    const stopped = await stack.call(user, { path: `/${first}/stop` });
    assert.deepEqual([stopped.status, stopped.body.machineId], [200, row.machine_id]);
    const other = await stack.supabase.createUser();
    assertError(await stack.call(other, { path: `/${first}/connect` }), 404, "not_found");
    const destroyed = await stack.call(user, { method: "DELETE", path: `/${first}` });
    assert.deepEqual([destroyed.status, destroyed.body.machineId], [200, row.machine_id]);
    assert.deepEqual(stack.liveMachines(row.machine_id), []);
    assertStrangersKeep(stack, taken);
  });

  await t.step(
    "when every name is taken, the caller gets an error and nothing is left",
    async () => {
      const taken = letStrangersTake(stack, Infinity);
      const answer = await stack.call(await supabase.createUser(), { body: {} });
      assertError(answer, 500, "fly_rejected");
      const row = await assertFailedRow(stack, answer);
      assert.equal(taken.length, 3);
      assert.equal(taken.at(-1), row.machine_id);
      assertStrangersKeep(stack, taken);
    },
  );

  await t.step("a DELETE before the new name is chosen: nothing is made", async () => {
    const taken = letStrangersTake(stack, 1);
    simulator.addFault({
      match: { action: "app", method: "GET" },
      do: { kind: "delay", ms: 3_000, when: "before" },
    });
    const user = await supabase.createUser();
    const provisioning = stack.call(user, { body: {} });
    const name = await until("the name is taken", () => taken[0]);
    const destroyed = await stack.call(user, { method: "DELETE", path: `/${name}` });
    assert.equal(destroyed.status, 200);
    assert.notEqual((await provisioning).status, 200);
    const [row] = await stack.rowsOf(user);
    assert.deepEqual([row?.machine_id, row?.status], [name, "destroyed"]);
    assertStrangersKeep(stack, taken);
  });

  await t.step("the function dies before the new name is chosen: reconcile closes", async () => {
    const taken = letStrangersTake(stack, 1);
    simulator.addFault({
      match: { action: "app", method: "GET" },
      do: { kind: "hang", when: "before" },
    });
    const { row } = await killWhile(stack, () => taken.length > 0);
    // It may have died before it asked.
    simulator.clearFaults();
    await stack.makeDue(row.machine_id);
    await assertRun(stack, { interrupted: 1 });
    await stack.makeDue(row.machine_id);
    await assertRun(stack, { cleanedUp: 1 });
    assertStrangersKeep(stack, taken);
  });
});

Deno.test("a taken name where the token reaches the strangers' organisation", async () => {
  await using stack = await startStack({ env: OWN_APP, fly: REACHES_STRANGERS });
  const taken = letStrangersTake(stack, 2);
  const row = await assertProvisioned(
    stack,
    await stack.call(await stack.supabase.createUser(), { body: {} }),
  );
  assert.equal(taken.length, 2);
  const [claimed] = await stack.supabase.sql<{ former_machine_ids: string[] }>(
    "select former_machine_ids from cloud_machines",
  );
  assert.deepEqual([claimed?.former_machine_ids, taken.includes(row.machine_id)], [taken, false]);
  assertStrangersKeep(stack, taken);
});
