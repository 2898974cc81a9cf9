/** Waiting for the slot of a create: how long, and what ends it. */
import assert from "node:assert/strict";
import { AppError } from "../../supabase/functions/provision-machine/errors.ts";
import {
  awaitCreateSlot,
  longestSlotWaitMs,
} from "../../supabase/functions/provision-machine/provision/create-slot.ts";
import {
  ROW,
  says,
  type Script,
  scriptProvisioning,
  silent,
  WORK_MS,
} from "./scripted-provisioning.ts";

const GO = says(200, { outcome: "go", wait_ms: 0 });
const waitMore = (ms: number) => says(200, { outcome: "wait", wait_ms: ms });

async function waitFor(script: Script, waitMs: number) {
  const provisioning = scriptProvisioning(script);
  const { context, calls } = provisioning;
  const outcome = await provisioning.run(() => awaitCreateSlot(context, ROW, waitMs)).then(
    () => "go",
    (error: unknown) => {
      assert.ok(error instanceof AppError, String(error));
      return `${error.code} ${error.retryAfterSeconds}`;
    },
  );
  return {
    outcome,
    calls: calls.length,
    elapsedMs: provisioning.elapsedMs(),
    slotMs: context.measurements.report().ms.slot,
  };
}

Deno.test("create slot: a machine gets a quarter of the time to start, at most 20 seconds", () => {
  assert.equal(longestSlotWaitMs(120_000), 100_000);
  assert.equal(longestSlotWaitMs(80_000), 60_000);
  assert.equal(longestSlotWaitMs(40_000), 30_000);
  assert.equal(longestSlotWaitMs(1_000), 750);
});

Deno.test("create slot: without a wait nothing is asked and nothing measured", async () => {
  for (const waitMs of [0, -5]) {
    assert.deepEqual(await waitFor({}, waitMs), {
      outcome: "go",
      calls: 0,
      elapsedMs: 0,
      slotMs: undefined,
    });
  }
});

Deno.test("create slot: asked when it has come, and again when others went first", async () => {
  assert.deepEqual(
    await waitFor({ take_create_slot: [waitMore(1_000), waitMore(500), GO] }, 3_000),
    { outcome: "go", calls: 3, elapsedMs: 4_500, slotMs: 4_500 },
  );
});

Deno.test("create slot: one that moved beyond the deadline is given up at once", async () => {
  assert.deepEqual(await waitFor({}, WORK_MS + 1_500), {
    outcome: "fly_rate_limited 2",
    calls: 0,
    elapsedMs: 0,
    slotMs: 0,
  });
  // Exactly at the deadline is too late as well.
  assert.deepEqual(await waitFor({ take_create_slot: waitMore(WORK_MS - 1_000) }, 1_000), {
    outcome: "fly_rate_limited 1",
    calls: 1,
    elapsedMs: 1_000,
    slotMs: 1_000,
  });
});

Deno.test("create slot: a row that was closed meanwhile wants no machine", async () => {
  const closed = says(200, { outcome: "closed", wait_ms: 0 });
  assert.equal(
    (await waitFor({ take_create_slot: closed }, 1_000)).outcome,
    "machine_failed undefined",
  );
});

Deno.test("create slot: a database without an answer is a timeout at the deadline, an error before", async () => {
  assert.deepEqual(await waitFor({ take_create_slot: silent }, WORK_MS - 1_000), {
    outcome: "provision_timeout 10",
    calls: 1,
    elapsedMs: WORK_MS,
    slotMs: WORK_MS,
  });
  const refused = says(400, { message: "no", code: "X" });
  assert.equal((await waitFor({ take_create_slot: refused }, 1_000)).outcome, "database_error 10");
});
