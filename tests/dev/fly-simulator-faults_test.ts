/** The simulator's faults, in process and on a virtual clock. */
import assert from "node:assert/strict";
import type { FlyFaultRule } from "../../dev/stack/fly/mod.ts";
import { MACHINE, onCreate, virtualSimulator } from "../support/fly-simulator.ts";

Deno.test("in process: the same faults, as fetch shows them", async () => {
  const { clock, simulator, send } = virtualSimulator();
  simulator.addFault(onCreate({ kind: "reset", when: "before" }));
  await assert.rejects(send("POST /machines", MACHINE), {
    name: "TypeError",
    message: /reset by peer/,
  });
  simulator.addFault(onCreate({ kind: "half-answer" }));
  await assert.rejects(send("POST /machines", MACHINE), {
    name: "TypeError",
    message: /error reading a body/,
  });
  assert.equal(simulator.machines().length, 1);
  simulator.addFault({ match: { action: "list" }, do: { kind: "delay", ms: 5000, when: "after" } });
  const begin = clock.now();
  await send("GET /machines");
  assert.equal(clock.now() - begin, 5000);
});

Deno.test("in process: a caller leaves during a delay, which goes on, or a call that hangs, which ends", async () => {
  const cases = [
    { fault: { kind: "delay", ms: 1000, when: "before" }, machines: [0, 1] },
    { fault: { kind: "delay", ms: 1000, when: "after" }, machines: [1, 1] },
    { fault: { kind: "hang", when: "before" }, machines: [0, 0] },
    { fault: { kind: "hang", when: "after" }, machines: [1, 1] },
  ] as const;
  for (const { fault, machines } of cases) {
    const { clock, simulator } = virtualSimulator();
    simulator.addFault(onCreate(fault));
    const caller = new AbortController();
    const call = simulator.fetch(
      new Request("https://api.machines.dev/v1/apps/demo/machines", {
        method: "POST",
        headers: { authorization: "Bearer fly-simulator-token" },
        body: JSON.stringify(MACHINE),
        signal: caller.signal,
      }),
    );
    const refused = assert.rejects(call, { name: "AbortError" });
    await clock.advance(500);
    const before = simulator.machines().length;
    caller.abort();
    await refused;
    await clock.advance(500);
    assert.deepEqual([before, simulator.machines().length], machines, JSON.stringify(fault));
    assert.equal(simulator.callsInFlight, 0);
    assert.equal(clock.pending, 0);
  }
});

Deno.test("a machine that fails, never starts, or starts late", async () => {
  const { clock, simulator, send, create, state } = virtualSimulator();
  simulator.addFault(onCreate({ kind: "fails", exitCode: 137, reason: "out of memory" }));
  const failed = await create({ ...MACHINE, name: "failed" });
  await clock.advance(300);
  const { body } = await send(`GET /machines/${failed}`);
  assert.equal(body.state, "failed");
  assert.equal(body.events[0]?.request?.exit_event.exit_code, 137);
  assert.equal(body.events[0]?.request?.exit_event.error, "out of memory");
  assert.equal((await send(`GET /machines/${failed}/wait?timeout=1`)).status, 408);

  simulator.addFault(onCreate({ kind: "fails", state: "launch_failed", afterMs: 100 }));
  const launchFailed = await create({ ...MACHINE, name: "launch-failed" });
  await clock.advance(100);
  assert.equal(state(launchFailed), "destroying");
  await clock.advance(100);
  assert.equal(state(launchFailed), "destroyed");

  simulator.addFault(onCreate({ kind: "fails", state: "stopped", afterMs: 800 }));
  const crashed = await create({ ...MACHINE, name: "crashed" });
  await clock.advance(300);
  assert.equal(state(crashed), "started");
  await clock.advance(500);
  assert.equal(state(crashed), "stopped");

  simulator.addFault(onCreate({ kind: "never-starts" }));
  const stuck = await create({ ...MACHINE, name: "stuck" });
  await clock.advance(3_600_000);
  assert.equal(state(stuck), "starting");
  simulator.addFault(onCreate({ kind: "never-starts", state: "created" }));
  const stuckEarlier = await create({ ...MACHINE, name: "stuck-earlier" });
  await clock.advance(3_600_000);
  assert.equal(state(stuckEarlier), "created");

  simulator.addFault(onCreate({ kind: "slow-start", ms: 90_000 }));
  const late = await create({ ...MACHINE, name: "late" });
  await clock.advance(89_999);
  assert.equal(state(late), "starting");
  await clock.advance(1);
  assert.equal(state(late), "started");
});

Deno.test("faults are applied in order, by method, path, name, region, skip and times", async () => {
  const { simulator, send } = virtualSimulator();
  const status = (
    match: FlyFaultRule["match"],
    status: number,
    times: FlyFaultRule["times"] = 1,
  ): FlyFaultRule => ({
    match,
    times,
    do: { kind: "status", status },
  });
  const create = async (name: string, region = "iad") =>
    (await send("POST /machines", { ...MACHINE, name, region })).status;
  simulator.addFault(status({ action: "create" }, 500));
  simulator.addFault(status({ action: "create" }, 501, 2));
  simulator.addFault(status({ action: "create", region: "fra" }, 502));
  simulator.addFault(status({ method: "post", machineName: "b" }, 503));
  assert.deepEqual([await create("a"), await create("a"), await create("a")], [500, 501, 501]);
  assert.deepEqual([await create("a"), await create("f", "fra"), await create("b")], [
    200,
    502,
    503,
  ]);
  assert.deepEqual(simulator.pendingFaults(), []);

  simulator.addFault({ ...status({ action: "list" }, 500, 2), skip: 1 });
  const lists = [];
  for (let i = 0; i < 4; i++) lists.push((await send("GET /machines")).status);
  assert.deepEqual(lists, [200, 500, 500, 200]);

  simulator.addFault(status({ path: "/v1/apps/*/machines/*/wait" }, 500, "always"));
  const id = simulator.machine("a")?.id;
  assert.equal((await send(`GET /machines/${id}/wait`)).status, 500);
  assert.equal((await send(`GET /machines/${id}/wait`)).status, 500);
  assert.equal((await send(`GET /machines/${id}`)).status, 200);
  simulator.addFault(status({ machineName: "a" }, 418));
  assert.equal((await send(`GET /machines/${id}`)).status, 418, "found by its id in the path");
  simulator.clearFaults();
  assert.equal((await send(`GET /machines/${id}/wait`)).status, 200);
});

Deno.test("one call meets a broken answer, a delay and a fault of its machine together", async () => {
  const { clock, simulator, send, state } = virtualSimulator();
  simulator.addFault(onCreate({ kind: "never-starts" }));
  simulator.addFault(onCreate({ kind: "delay", ms: 1000, when: "before" }));
  simulator.addFault(onCreate({ kind: "reset", when: "after" }));
  const begin = clock.now();
  await assert.rejects(send("POST /machines", MACHINE), TypeError);
  assert.equal(clock.now() - begin, 1000);
  await clock.advance(60_000);
  assert.equal(state("machine-1"), "starting");
  assert.deepEqual(simulator.requests()[0]?.faults, ["reset", "delay", "never-starts"]);
});

Deno.test("a fault that makes no sense is refused, naming what is wrong", () => {
  const { simulator } = virtualSimulator();
  const wrong: [fault: unknown, names: RegExp][] = [
    [{ do: { kind: "explode" } }, /kind/],
    [{ do: { kind: "status" } }, /status/],
    [{ do: { kind: "delay", ms: -1, when: "before" } }, /ms/],
    [{ match: { acton: "create" }, do: { kind: "half-answer" } }, /acton/],
    [{ match: { action: "get" }, do: { kind: "never-starts" } }, /must be create or start/],
    [{ match: {}, times: 0, do: { kind: "half-answer" } }, /times/],
  ];
  for (const [fault, names] of wrong) {
    assert.throws(() => simulator.addFault(fault as FlyFaultRule), names);
  }
});
