/** How Machines of the simulator end of their own accord, each test with the fact it holds to. */
import assert from "node:assert/strict";
import { MACHINE, type VirtualSimulator, virtualSimulator } from "../support/fly-simulator.ts";

async function started({ clock, create }: VirtualSimulator, restart?: Record<string, unknown>) {
  const id = await create({ ...MACHINE, config: { ...MACHINE.config, restart } });
  await clock.advance(300);
  return id;
}

/** The exits in GET's events, newest first. */
async function exits({ send }: VirtualSimulator, id: string) {
  const { events } = (await send(`GET /machines/${id}`)).body;
  return events.filter(({ type }) => type === "exit").map(({ request }) => request);
}

Deno.test("exit 0 ends in stopped, except under the policy always (docs, machine-restart-policy)", async () => {
  const world = virtualSimulator();
  for (
    const [policy, after] of [
      ["no", "stopped"],
      ["on-failure", "stopped"],
      ["always", "restarting"],
    ] as const
  ) {
    const id = await started(world, { policy });
    world.simulator.operator.exit(id);
    assert.equal(world.state(id), after, policy);
    await world.send(`DELETE /machines/${id}?force=true`);
    await world.clock.advance(100);
  }
});

Deno.test("a crash starts again up to max_retries, started in between, then stopped (docs)", async () => {
  const world = virtualSimulator();
  const { clock, simulator, state } = world;
  const id = await started(world, { policy: "on-failure", max_retries: 3 });
  simulator.operator.exit(id, { exitCode: 1, times: 100, uptimeMs: 2000 });
  const seen = [];
  for (let i = 0; i < 4; i++) {
    seen.push(state(id));
    await clock.advance(1000);
    seen.push(state(id));
    await clock.advance(2000);
  }
  const round = ["restarting", "started"];
  assert.deepEqual(seen, [...round, ...round, ...round, "stopped", "stopped"]);
  const [last, ...earlier] = await exits(world, id);
  const facts = { exit_code: 1, guest_exit_code: 1, guest_signal: -1, signal: -1 };
  const { exited_at: lastAt, ...lastExit } = last?.exit_event ?? {};
  assert.equal(typeof lastAt, "string");
  assert.deepEqual(
    [lastExit, last?.restart_count],
    [facts, 3],
    "members that are zero are left out",
  );
  assert.deepEqual(
    earlier.map((request) => [request?.restart_count, request?.exit_event.restarting]),
    [[3, true], [2, true], [1, true]],
  );
});

Deno.test("without max_retries it is 10 within 5 minutes, and a long run starts the count again (docs)", async () => {
  const world = virtualSimulator();
  const { clock, simulator, state } = world;
  const id = await started(world, { policy: "on-failure" });
  simulator.operator.exit(id, { exitCode: 1, times: 10, uptimeMs: 0 });
  await clock.advance(10_000);
  assert.equal(state(id), "started");
  simulator.operator.exit(id, { exitCode: 1 });
  assert.equal(state(id), "stopped", "the eleventh within 5 minutes");
  const other = await started({ ...world, create: () => world.create({ ...MACHINE, name: "b" }) });
  simulator.operator.exit(other, { exitCode: 1, times: 10, uptimeMs: 0 });
  await clock.advance(310_000);
  simulator.operator.exit(other, { exitCode: 1 });
  assert.equal(state(other), "restarting");
});

Deno.test("memory that ran out is in the exit event, and the place of the event can differ (fly-go, flyctl)", async () => {
  const world = virtualSimulator();
  const { simulator, send } = world;
  const id = await started(world, { policy: "no" });
  simulator.operator.exit(id, { oomKilled: true });
  const [exit] = await exits(world, id);
  assert.deepEqual([exit?.exit_event.oom_killed, exit?.exit_event.exit_code], [true, 137]);
  simulator.configure({ exitEventUnder: "MonitorEvent" });
  const { events } = (await send(`GET /machines/${id}`)).body;
  assert.deepEqual(events[0]?.request?.exit_event, {});
  const monitor: unknown = events[0]?.request?.MonitorEvent;
  assert.deepEqual(monitor, { exit_event: exit?.exit_event });
});

Deno.test("after a destroy the exit stands behind the destroy event (recorded)", async () => {
  const world = virtualSimulator({ settings: { getAfterDestroyMs: 1000 } });
  const id = await started(world);
  await world.send(`DELETE /machines/${id}?force=true`);
  await world.clock.advance(100);
  const { events } = (await world.send(`GET /machines/${id}`)).body;
  assert.deepEqual(events.slice(0, 3).map(({ type, status }) => `${type} ${status}`), [
    "destroy destroyed",
    "exit stopped",
    "destroy destroying",
  ]);
  const limited = (await world.send(`GET /machines/${id}/events?limit=2`)).items;
  assert.equal(limited.length, 2);
});

Deno.test("a machine with auto_destroy is gone after its last exit (docs)", async () => {
  const { clock, simulator, create, state } = virtualSimulator();
  const id = await create({ ...MACHINE, config: { ...MACHINE.config, auto_destroy: true } });
  await clock.advance(300);
  assert.throws(() => simulator.operator.exit("nothing"), RangeError);
  simulator.operator.exit(id);
  await clock.advance(100);
  assert.equal(state(id), "destroyed");
});
