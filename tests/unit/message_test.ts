/** The text of alerts, as a Slack-compatible webhook takes it. */
import assert from "node:assert/strict";
import {
  alertMessage,
  loneAlertMessage,
} from "../../supabase/functions/provision-machine/alerts/message.ts";

type Alert = Parameters<typeof alertMessage>[0];

const ALERT: Alert = {
  id: 1,
  kind: "failures",
  event: "firing",
  content: { count: 1, byCode: { fly_capacity: 1 }, newestMachineId: "m-1", windowMinutes: 10 },
  attempts: 0,
};

function textOf(content: Partial<Alert["content"]>, changes: Partial<Alert> = {}): string {
  return alertMessage({ ...ALERT, ...changes, content: { ...ALERT.content, ...content } }).text;
}

Deno.test("message: one failure, with its machine and what to do", () => {
  assert.equal(
    textOf({}),
    "❌ provision-machine: 1 failure in the last 10 minutes\n" +
      "• fly_capacity: 1\n" +
      "Newest machine: m-1\n" +
      "What to do: the region is full: set FLY_REGION_FALLBACK=true or choose another FLY_REGION",
  );
});

Deno.test("message: several codes by number, with advice about the most frequent", () => {
  const byCode = { fly_rejected: 1, machine_lost: 5, interrupted: 2 };
  const lines = textOf({ count: 8, byCode, windowMinutes: 1 }).split("\n");
  assert.deepEqual(lines.slice(0, 5), [
    "❌ provision-machine: 8 failures in the last minute",
    "• machine_lost: 5",
    "• interrupted: 2",
    "• fly_rejected: 1",
    "Newest machine: m-1",
  ]);
  assert.match(lines[5] ?? "", /^What to do: running machines disappear: /);
  assert.equal(lines.length, 6);
});

Deno.test("message: neither machine nor codes", () => {
  assert.equal(
    textOf({ count: 0, byCode: {}, newestMachineId: null, windowMinutes: 0.5 }),
    "❌ provision-machine: 0 failures in the last 0.5 minutes",
  );
});

Deno.test("message: a streak of failures, however long it took", () => {
  assert.equal(
    textOf({ count: 3, byCode: { fly_capacity: 3 }, streak: true }).split("\n")[0],
    "❌ provision-machine: every one of the last 3 attempts failed",
  );
});

Deno.test("message: a code of a newer version, or one that only looks like one", () => {
  const unknown = "What to do: look up the request id in the function's logs";
  for (const code of ["some_new_code", "constructor", "toString"]) {
    assert.ok(textOf({ byCode: { [code]: 1 } }).split("\n").at(-1)?.startsWith(unknown), code);
  }
});

Deno.test("message: reconcile that does not run, or fails, and works again", () => {
  const text = (code: string) => textOf({ byCode: { [code]: 1 } }, { kind: "reconcile" });
  assert.equal(
    text("reconcile_late"),
    "❌ provision-machine: reconcile has not run for ten minutes\n" +
      "What to do: see cron.job_run_details: its newest runs say why reconcile is not called",
  );
  assert.match(text("reconcile_never"), /^❌ provision-machine: reconcile has not run.*\n.*Vault/);
  assert.match(
    text("reconcile_failing"),
    /everything that reconcile tried in ten minutes has failed/,
  );
  assert.equal(
    textOf({ count: 0, byCode: {} }, { event: "recovered", kind: "reconcile" }),
    "✅ provision-machine: reconcile works again",
  );
});

Deno.test("message: recovery names what is over, and nothing else", () => {
  assert.equal(
    textOf({ count: 0, byCode: {} }, { event: "recovered" }),
    "✅ provision-machine recovered: no failures in the last 10 minutes",
  );
  assert.equal(
    textOf({ windowMinutes: 1 }, { event: "recovered", kind: "configuration" }),
    "✅ provision-machine recovered: no configuration or account errors in the last minute",
  );
});

Deno.test("message: a failure that the database could not count, without markup", () => {
  const message = loneAlertMessage({
    code: "database_error",
    error: "<!channel> & <b>down</b>",
    machineId: "m<2>",
  });
  const lines = message.text.split("\n");
  assert.deepEqual(lines.slice(0, 2), [
    "❌ provision-machine: database_error: &lt;!channel&gt; &amp; &lt;b&gt;down&lt;/b&gt;",
    "Newest machine: m&lt;2&gt;",
  ]);
  assert.match(lines[2] ?? "", /^What to do: check the project's database /);
  assert.deepEqual(Object.keys(message), ["text"]);
});
