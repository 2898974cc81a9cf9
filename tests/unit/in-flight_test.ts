/** What an isolate is provisioning when it has to end: handed over to reconcile, and logged. */
import assert from "node:assert/strict";
import { InFlight } from "../../supabase/functions/provision-machine/provision/in-flight.ts";
import { says, scriptProvisioning, silent } from "./scripted-provisioning.ts";

Deno.test("in flight: only what is still at work is handed over", async () => {
  const provisioning = scriptProvisioning({ hand_over_to_reconcile: says(200, 1) });
  const { clock, context: { machines, log } } = provisioning;
  const inFlight = new InFlight();
  const entry = (rowId: string) => ({ rowId, machines, log });
  assert.equal(await inFlight.track(entry("done"), () => Promise.resolve("result")), "result");
  const failing = inFlight.track(entry("failed"), () => Promise.reject(new Error("failed")));
  await assert.rejects(failing, { message: "failed" });
  const work = inFlight.track(entry("at-work"), () => clock.sleep(60_000));

  await provisioning.run(() => inFlight.handOver("wall clock", clock));
  assert.deepEqual(provisioning.arguments, [
    { p_ids: ["at-work"], p_reason: "wall clock", p_after_ms: 10_000 },
  ]);
  assert.deepEqual(provisioning.log.lines(), []);
  await provisioning.run(() => work);
});

Deno.test("in flight: an isolate near its limit of CPU time or memory may live on", async () => {
  const provisioning = scriptProvisioning({});
  const { clock, context: { machines, log } } = provisioning;
  const inFlight = new InFlight();
  const work = inFlight.track({ rowId: "row-1", machines, log }, () => clock.sleep(100));
  for (const reason of ["cpu", "memory"]) {
    await provisioning.run(() => inFlight.handOver(reason, clock));
  }
  await provisioning.run(() => work);
  assert.deepEqual([provisioning.arguments, provisioning.log.lines()], [[], []]);
});

Deno.test("in flight: a database that does not answer is logged, and holds nothing up", async () => {
  const provisioning = scriptProvisioning({ hand_over_to_reconcile: silent });
  const { clock, context: { machines, log } } = provisioning;
  const inFlight = new InFlight();
  const work = inFlight.track({ rowId: "row-1", machines, log }, () => clock.sleep(60_000));
  await provisioning.run(() => inFlight.handOver("wall clock", clock));
  assert.equal(provisioning.elapsedMs(), 2_000);
  assert.equal(
    provisioning.log.lines().at(-1),
    "error: The row could not be handed over; reconcile takes it at its deadline",
  );
  await provisioning.run(() => work);
});

Deno.test("in flight: of a request that ends during a hand-over, nothing more is logged", async () => {
  const provisioning = scriptProvisioning({ hand_over_to_reconcile: silent });
  const { clock, context: { machines, log } } = provisioning;
  const inFlight = new InFlight();
  const work = inFlight.track({ rowId: "row-1", machines, log }, () => clock.sleep(100));
  await provisioning.run(() => inFlight.handOver("wall clock", clock));
  await provisioning.run(() => work);
  assert.deepEqual(provisioning.log.lines(), []);
});
