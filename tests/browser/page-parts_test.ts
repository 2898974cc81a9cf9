/** The parts of the user's page that need no browser. */
import assert from "node:assert/strict";
import { readArgs } from "../../console/command-line.ts";
import { buttonState } from "../../console/page/button-state.ts";
import { sizeOf } from "../../console/page/cpu-sizes.ts";
import { clockTime, dateTime, roughDuration } from "../../console/page/format-time.ts";
import { MachineLimit } from "../../console/page/machine-limit.ts";
import type { MachineRow } from "../../console/page/machines.ts";
import { readable } from "../../console/page/readable.ts";
import { stepsOf } from "../../console/page/steps.ts";
import { usualDurationMs } from "../../console/page/usual-duration.ts";

type Events = MachineRow["machine_events"];

function events(...kinds: string[]): Events {
  return kinds.map((kind, id) => ({
    id,
    kind,
    error_code: null,
    duration_ms: 1_000 * (id + 1),
    created_at: "2026-11-25T12:00:00Z",
  }));
}

Deno.test("the timeline says how far a machine has come", () => {
  const steps = (status: MachineRow["status"], ...kinds: string[]) =>
    stepsOf({ status, machine_events: events(...kinds) }).map(({ name }) => name);
  assert.deepEqual(stepsOf(null).map(({ state }) => state), ["current", "todo", "todo"]);
  assert.deepEqual(steps("provisioning", "claimed"), ["Requested", "Creating", "Running"]);
  const created = ["claimed", "fly_machine_recorded"];
  assert.deepEqual(steps("provisioning", ...created), ["Requested", "Created", "Starting"]);
  assert.deepEqual(steps("running", ...created, "running"), ["Requested", "Created", "Running"]);
  assert.deepEqual(steps("error", ...created, "failed"), ["Requested", "Created", "Not running"]);
  // A machine that is lost had run: nothing may say that it still does.
  const lost = stepsOf({
    status: "error",
    machine_events: events(...created, "running", "machine_lost"),
  });
  assert.deepEqual(lost.at(-1), { name: "Not running", state: "failed", durationMs: null });
  assert.deepEqual(steps("destroyed", ...created, "running", "destroyed"), []);
});

Deno.test("the limit is configured, or learned from the first refusal", () => {
  const configured = new MachineLimit(2);
  assert.deepEqual([0, 1].map((live) => configured.reasonAgainst(live, false)), [null, null]);
  assert.match(configured.reasonAgainst(2, false) ?? "", /your limit of 2 machines/);
  const learned = new MachineLimit(undefined);
  assert.equal(learned.reasonAgainst(9, false), null);
  learned.learn(1);
  assert.match(learned.reasonAgainst(1, false) ?? "", /your limit of 1 machine\./);
  assert.equal(learned.reasonAgainst(0, true), null);
  const args = ["--supabase-url", "https://x.example", "--publishable-key", "k"];
  assert.equal(readArgs([...args, "--machines-per-user", "3"])?.config.machinesPerUser, 3);
  assert.throws(() => readArgs([...args, "--machines-per-user", "0"]), /--machines-per-user: /);
});

Deno.test("at the limit the button offers to start or to destroy, before it is pressed", () => {
  const at = (limit: number | undefined, ...statuses: MachineRow["status"][]) =>
    buttonState({
      machines: statuses.map((status, index) => ({ machine_id: `m${index}`, status })),
      limit: new MachineLimit(limit),
      requested: false,
      waiting: false,
      unanswered: false,
    });
  const full = at(2, "running", "stopped", "destroyed");
  assert.deepEqual([full.disabled, full.makeRoom, full.start], [true, "m0", "m1"]);
  assert.match(full.reason ?? "", /limit of 2 machines\. Start what is stopped, or destroy/);
  const running = at(1, "running");
  assert.deepEqual([running.makeRoom, running.start], ["m0", undefined]);
  assert.equal(at(2, "running", "error").text, "Provision another");
  assert.deepEqual(at(1, "destroyed"), { text: "Provision", disabled: false });
});

Deno.test("times are written one way", () => {
  const ages = [999, 15_000, 60_000, 3_599_000, 7_200_000, 200_000_000];
  assert.deepEqual(ages.map(roughDuration), ["0 s", "15 s", "1 min", "59 min", "2 h", "2 days"]);
  const now = new Date(2026, 10, 25, 23, 30).getTime();
  assert.equal(clockTime(new Date(2026, 10, 25, 0, 5, 9).getTime()), "00:05:09");
  assert.equal(dateTime(new Date(2026, 10, 25, 14, 7, 1).getTime(), now), "14:07:01");
  assert.equal(dateTime(new Date(2026, 10, 24, 14, 7, 1).getTime(), now), "24 Nov, 14:07");
  assert.equal(dateTime(new Date(2025, 10, 24, 14, 7, 1).getTime(), now), "24 Nov 2025");
});

Deno.test("the usual duration is the median of the machines that came to run", () => {
  const row = (...kinds: string[]) => ({ machine_events: events(...kinds) }) as MachineRow;
  assert.equal(usualDurationMs([row("claimed", "failed")]), null);
  const rows = [row("running"), row("claimed", "running"), row("claimed", "claimed", "running")];
  assert.equal(usualDurationMs(rows), 2_000);
});

Deno.test("sizes and messages are readable", () => {
  assert.equal(sizeOf("low"), "1 shared CPU, 256\u00a0MB");
  assert.equal(sizeOf("extreme"), "CPU priority extreme");
  assert.equal(readable('{"echo":"hello"}'), '{ "echo": "hello" }');
  const long = JSON.stringify({ machine: "machine-0123456789abcdef", region: "ams", image: "x" });
  assert.equal(readable(long).split("\n").length, 5);
  assert.deepEqual(["[broken", "hello {", ""].map(readable), ["[broken", "hello {", ""]);
});
