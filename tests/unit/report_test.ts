/** The report of a reconcile run: counts, actions, and how they are logged within the budget. */
import assert from "node:assert/strict";
import { VirtualClock } from "../../dev/stack/clock.ts";
import { RequestLog } from "../../supabase/functions/provision-machine/logging/request-log.ts";
import { FlyError } from "../../supabase/functions/provision-machine/fly/errors.ts";
import { Report } from "../../supabase/functions/provision-machine/reconcile/report.ts";
import { captureLog } from "./captured-log.ts";

function openReport() {
  const captured = captureLog();
  return {
    ...captured,
    report: new Report(new RequestLog(captured.logger, new VirtualClock(), "run-1")),
  };
}

const ids = (n: number) => ({ machineId: `machine-${n}`, flyMachineId: `fly-${n}` });

Deno.test("report: a run without actions is one event", () => {
  const { report, lines, records } = openReport();
  report.log();
  assert.deepEqual(lines(), ["info: Reconcile finished"]);
  assert.deepEqual(records[0]?.properties["counts"], {
    adopted: 0,
    interrupted: 0,
    destroyed: 0,
    cleanedUp: 0,
    orphansDestroyed: 0,
    lost: 0,
    started: 0,
    stopped: 0,
    crashed: 0,
    expired: 0,
    found: 0,
    pooled: 0,
    poolDiscarded: 0,
    poolDestroyed: 0,
    suspected: 0,
    orphansHeld: 0,
    alertsSent: 0,
    failed: 0,
  });
});

Deno.test("report: each action is counted and logged; machines that failed unseen as errors", () => {
  const { report, lines, records } = openReport();
  report.add({ action: "adopted", ...ids(1) });
  report.add({ action: "interrupted", ...ids(2), reason: "deadline passed" });
  report.add({ action: "lost", machineId: "machine-3", flyMachineId: null });
  report.add({ action: "adopted", ...ids(4) });
  report.log();
  assert.deepEqual(lines(), [
    "error: ❌ Reconcile found machines that failed unseen",
    "info: Reconcile took action",
    "info: Reconcile finished",
  ]);
  assert.deepEqual(records[0]?.properties["actions"], [
    "interrupted machine-2 fly-2 deadline passed",
    "lost machine-3",
  ]);
  assert.deepEqual(records[1]?.properties["actions"], [
    "adopted machine-1 fly-1",
    "adopted machine-4 fly-4",
  ]);
  const { adopted, interrupted, lost, failed } = report.counts;
  assert.deepEqual({ adopted, interrupted, lost, failed }, {
    adopted: 2,
    interrupted: 1,
    lost: 1,
    failed: 0,
  });
});

Deno.test("report: of many actions a hundred are answered and 25 logged, and all are counted", () => {
  const { report, records } = openReport();
  for (let n = 0; n < 130; n++) report.add({ action: "destroyed", ...ids(n) });
  report.log();
  assert.equal(report.actions.length, 100);
  assert.equal(report.counts.destroyed, 130);
  const listed = records.filter(({ rawMessage }) => rawMessage === "Reconcile took action")
    .map(({ properties }) => properties["actions"]);
  assert.deepEqual(listed.map((actions) => Array.isArray(actions) && actions.length), [25]);
  assert.equal(records.at(-1)?.rawMessage, "Reconcile finished");
});

Deno.test("report: a loss behind a hundred routine actions is answered first, and logged", () => {
  const { report, records } = openReport();
  for (let n = 0; n < 100; n++) report.add({ action: "destroyed", ...ids(n) });
  report.add({ action: "lost", ...ids(100) });
  report.log();
  assert.deepEqual(report.actions[0], { action: "lost", ...ids(100) });
  assert.deepEqual(records[0]?.properties["actions"], ["lost machine-100 fly-100"]);
  assert.equal(records[0]?.level, "error");
});

Deno.test("report: two failures have an event each, the others share one with code and request id", () => {
  const { report, lines, records } = openReport();
  report.fail("the row could not be closed", new Error("no answer"), ids(1));
  report.fail("the machine could not be destroyed", "odd", ids(2));
  assert.deepEqual(lines(), [
    "error: Reconcile: the row could not be closed",
    "error: Reconcile: the machine could not be destroyed",
  ]);
  assert.equal(records[0]?.properties["machineId"], "machine-1");
  for (let n = 3; n <= 130; n++) {
    const details = { status: 503, flyRequestId: `fly-request-${n}` };
    report.fail("the row could not be closed", new FlyError("status", "down", details), ids(n));
  }
  report.log();
  assert.deepEqual(lines().slice(2), [
    "error: ❌ Reconcile: 128 more failures",
    "info: Reconcile finished",
  ]);
  const { byCode, failures } = records[2]?.properties ?? {};
  assert.deepEqual(byCode, { internal_error: 2, fly_unavailable: 98 });
  assert.ok(Array.isArray(failures));
  assert.equal(failures.length, 25);
  assert.equal(failures[0], "machine-3 fly-3 fly_unavailable fly-request-3");
  assert.equal(report.counts.failed, 130);
  assert.equal(report.actions.length, 100);
});
