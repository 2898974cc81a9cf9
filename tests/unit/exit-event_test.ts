/** A machine's events: the newest exit, in the shape of fly-go. */
import assert from "node:assert/strict";
import {
  lastChangeAt,
  newestExit,
} from "../../supabase/functions/provision-machine/fly/exit-event.ts";

const exit = (exit_event: unknown) => ({ type: "exit", request: { exit_event } });

Deno.test("exit event: how the program ended", () => {
  const cases: [exit: Record<string, unknown>, description: string][] = [
    [{ exit_code: 137, guest_exit_code: 137, oom_killed: true }, "exit code 137, out of memory"],
    [{ exit_code: 1 }, "exit code 1"],
    [{ exit_code: 1, guest_exit_code: 2 }, "exit code 2"],
    [{ exit_code: 1, guest_exit_code: 0, signal: -1, guest_signal: -1 }, "exit code 1"],
    // Fields that are zero are left out.
    [{}, "exit code 0"],
    [{ guest_signal: 11, signal: -1 }, "signal 11"],
    [{ guest_signal: null, signal: 9, exit_code: 137 }, "exit code 137, signal 9"],
    [{ requested_stop: true }, "exit code 0, stopped on request"],
  ];
  for (const [event, description] of cases) {
    const found = newestExit([exit(event)]);
    assert.deepEqual(
      [found?.description, found?.outOfMemory, found?.requested],
      [description, event["oom_killed"] === true, event["requested_stop"] === true],
    );
  }
});

Deno.test("exit event: the newest one, behind later events and under MonitorEvent too", () => {
  const destroyed = { type: "destroy", status: "destroyed" };
  const monitored = { request: { MonitorEvent: { exit_event: { exit_code: 3 } } } };
  const described = (...events: unknown[]) => newestExit(events)?.description;
  assert.equal(described(destroyed, exit({ exit_code: 2 }), exit({ exit_code: 1 })), "exit code 2");
  assert.equal(described(destroyed, monitored, exit({ exit_code: 1 })), "exit code 3");
});

Deno.test("exit event: events of any other shape show no exit", () => {
  assert.equal(
    newestExit([null, "exit", 1, {}, { request: null }, { request: {} }, exit(null), exit("137")]),
    undefined,
  );
  assert.equal(newestExit([]), undefined);
});

Deno.test("exit event: when the machine last changed, if its events say so", () => {
  assert.equal(
    lastChangeAt([{ timestamp: 1_700_000_000_000 }, { timestamp: 1 }]),
    "2023-11-14T22:13:20.000Z",
  );
  for (
    const event of [undefined, null, {}, { timestamp: "1" }, { timestamp: 1e300 }, {
      timestamp: -1,
    }]
  ) {
    assert.equal(lastChangeAt([event]), undefined);
  }
  assert.equal(lastChangeAt([]), undefined);
});
