/** The start loop and the row: what is written when, and what ends the wait. */
import assert from "node:assert/strict";
import { AppError } from "../../supabase/functions/provision-machine/errors.ts";
import { after, OWN, says, silent } from "./scripted-provisioning.ts";
import { DESTROYED, RECORDED, seen, start, STARTED } from "./scripted-start.ts";

Deno.test("start machine: Fly's id is written beside the wait, and all of it at the end", async () => {
  const { provisioning, outcome } = start({
    // The row is closed after it, even if the machine starts sooner.
    record_fly_machine: after(1_200, RECORDED),
    wait: after(800, STARTED),
  }, { region: "ewr" });
  assert.equal(await outcome, "running");
  assert.deepEqual(provisioning.calls.toSorted(), [
    "mark_machine_running",
    "record_fly_machine",
    "wait 60",
  ]);
  assert.deepEqual(provisioning.arguments, [
    {
      p_id: "row-1",
      p_fly_machine_id: OWN.id,
      p_region: "ewr",
      p_request_id: "request-1",
      p_duration_ms: 0,
    },
    {
      p_id: "row-1",
      p_fly_machine_id: OWN.id,
      p_region: "ewr",
      p_adopted: false,
      p_request_id: "request-1",
      p_duration_ms: 1_200,
      p_detail: { ms: { wait: 800 }, attempts: 0 },
    },
  ]);
});

Deno.test("start machine: a row that wants no machine any more ends the wait", async () => {
  const destroyed = "machine_failed: The machine was destroyed while it was being provisioned";
  for (const outcome of [DESTROYED, says(200, { outcome: "not_found" })]) {
    const { provisioning, outcome: found } = start({
      record_fly_machine: after(1_500, outcome),
      wait: silent,
    });
    assert.equal(await found, destroyed);
    assert.equal(provisioning.elapsedMs(), 1_500);
    assert.ok(!provisioning.calls.includes("mark_machine_running"));
    assert.equal(provisioning.clock.pending, 0);
  }
  const closed = start({ wait: STARTED, mark_machine_running: DESTROYED });
  assert.equal(await closed.outcome, destroyed);
});

Deno.test("start machine: an id that could not be written is no failure, only a warning of one", async () => {
  const { provisioning, outcome } = start({
    record_fly_machine: says(500, { message: "down", code: "XX000" }),
    wait: after(5_000, STARTED),
    get: seen("starting"),
  });
  assert.equal(await outcome, "running");
  const { context, log } = provisioning;
  assert.deepEqual(log.lines(), []);
  context.log.requestFailed(new AppError("internal_error", "x"));
  assert.equal(log.lines()[0], "warning: The Fly machine id could not be written yet");
});
