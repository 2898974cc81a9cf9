/** Regions without room are known before a request asks for a machine there. */
import assert from "node:assert/strict";
import { assertError, assertFailedRow, assertProvisioned } from "../support/expectations.ts";
import { assertRun } from "../support/reconcile-run.ts";
import { startStack } from "../support/stack.ts";

const ENV = { FLY_ORG_SLUG: "personal", FLY_REGIONS: "iad,ams,fra", FLY_REGION_FALLBACK: "true" };

Deno.test("regions without room", async (t) => {
  await using stack = await startStack({ env: ENV, fly: { settings: { newAppDelayMs: 0 } } });
  const { supabase, simulator } = stack;
  const provision = async (body = {}) => await stack.call(await supabase.createUser(), { body });
  /** The regions of the creates that `work` sends, and how many calls it makes in all. */
  const during = async (work: () => Promise<unknown>) => {
    const from = simulator.createBodies.length;
    simulator.clearRequests();
    await work();
    const regions = simulator.createBodies.slice(from).map(({ region }) => region);
    return { regions, calls: simulator.requests().length };
  };

  await t.step("reconcile asks once a run, and no request does", async () => {
    simulator.clearRequests();
    await assertRun(stack, {});
    const asked = () => simulator.requests().filter(({ action }) => action === "placements").length;
    assert.equal(asked(), 1);
    await assertProvisioned(stack, await provision());
    assert.equal(asked(), 1);
  });

  await t.step("a full region is not tried first", async () => {
    simulator.setCapacity("iad", false);
    const unknown = await during(async () => assertProvisioned(stack, await provision()));
    assert.deepEqual(unknown.regions, ["iad", "ams"]);
    await assertRun(stack, {});
    const known = await during(async () => assertProvisioned(stack, await provision()));
    assert.deepEqual(known.regions, ["ams"]);
  });

  await t.step("all of them are full: each is tried all the same", async () => {
    for (const region of ["ams", "fra"]) simulator.setCapacity(region, false);
    await assertRun(stack, {});
    const { regions } = await during(async () =>
      assertError(await provision(), 500, "fly_capacity")
    );
    assert.deepEqual(regions, ["iad", "ams", "fra"]);
    for (const region of ["ams", "fra"]) simulator.setCapacity(region, true);
    await assertRun(stack, {});
  });

  await t.step("without fallback it is the same answer, without a call", async () => {
    await using fn = await stack.start({ FLY_REGION_FALLBACK: "false" });
    const { calls } = await during(async () => {
      const answer = await fn.call(await supabase.createUser(), { body: {} });
      assertError(answer, 500, "fly_capacity");
      await assertFailedRow(stack, answer);
    });
    assert.equal(calls, 0);
    await assertProvisioned(
      stack,
      await fn.call(await supabase.createUser(), {
        body: { region: "fra" },
      }),
    );
  });

  await t.step("what nobody has said for three minutes is not believed", async () => {
    await supabase.sql("update full_regions set full_until = now()");
    const { regions } = await during(async () => assertProvisioned(stack, await provision()));
    assert.deepEqual(regions, ["iad", "ams"]);
  });

  await t.step("a region that has recovered is tried first", async () => {
    await assertRun(stack, {});
    simulator.setCapacity("iad", true);
    await assertRun(stack, {});
    const { regions } = await during(async () => assertProvisioned(stack, await provision()));
    assert.deepEqual(regions, ["iad"]);
  });

  await t.step("a region over quota is skipped by those who come next", async () => {
    simulator.addFault({
      match: { action: "create", region: "iad" },
      times: "always",
      do: {
        kind: "status",
        status: 403,
        body: {
          error:
            'organization "X" is using 4096 MB of memory in iad which is over the allowed quota. please consider other regions',
        },
      },
    });
    const first = await during(async () => assertProvisioned(stack, await provision()));
    assert.deepEqual(first.regions, ["iad", "ams"]);
    // Placements know nothing of quotas.
    await assertRun(stack, {});
    const next = await during(async () => assertProvisioned(stack, await provision()));
    assert.deepEqual(next.regions, ["ams"]);
    simulator.clearFaults();
    await supabase.sql("update full_regions set full_until = now()");
    const recovered = await during(async () => assertProvisioned(stack, await provision()));
    assert.deepEqual(recovered.regions, ["iad"]);
  });
});
