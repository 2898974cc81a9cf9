/** The report of a reconcile run: counts, actions, and how they are logged within the budget. */
import assert from "node:assert/strict";
import { VirtualClock } from "../../dev/stack/clock.ts";
import { RequestLog } from "../../supabase/functions/provision-machine/logging/request-log.ts";
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
    found: 0,
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

Deno.test("report: of many actions a hundred are listed, 25 per event, and all are counted", () => {
  const { report, records } = openReport();
  for (let n = 0; n < 130; n++) report.add({ action: "destroyed", ...ids(n) });
  report.log();
  assert.equal(report.actions.length, 100);
  assert.equal(report.counts.destroyed, 130);
  const listed = records.filter(({ rawMessage }) => rawMessage === "Reconcile took action")
    .map(({ properties }) => properties["actions"]);
  assert.deepEqual(listed.map((actions) => Array.isArray(actions) && actions.length), [
    25,
    25,
    25,
    25,
  ]);
  assert.equal(records.at(-1)?.rawMessage, "Reconcile finished");
});

Deno.test("report: the first failure is logged at once, the others are counted and listed", () => {
  const { report, lines, records } = openReport();
  report.fail("the row could not be closed", new Error("no answer"), ids(1));
  report.fail("the machine could not be destroyed", "odd", ids(2));
  assert.deepEqual(lines(), ["error: Reconcile: the row could not be closed"]);
  assert.equal(records[0]?.properties["machineId"], "machine-1");
  assert.equal(report.counts.failed, 2);
  assert.deepEqual(report.actions.map(({ reason }) => reason), [
    "the row could not be closed: no answer",
    "the machine could not be destroyed: odd",
  ]);
});
