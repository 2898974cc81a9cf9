/** The simulator's Machines: states, names, waits. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { MachineState } from "../../dev/stack/fly/mod.ts";
import { MACHINE, virtualSimulator } from "../support/fly-simulator.ts";

Deno.test("a machine goes created, starting, started on the clock, whether or not it is read", async () => {
  const { clock, send, state } = virtualSimulator({ settings: { startDelayMs: 1000 } });
  const { status, body, headers } = await send("POST /machines", { ...MACHINE, region: "fra" });
  assert.equal(status, 200);
  assert.equal(body.state, "created");
  assert.equal(body.region, "fra");
  assert.match(body.id, /^[0-9a-f]{14}$/);
  assert.match(body.instance_id, /^[0-9A-HJKMNP-TV-Z]{26}$/);
  assert.match(headers.get("fly-request-id") ?? "", /^[0-9A-HJKMNP-TV-Z]{26}-iad$/);
  assert.equal(headers.get("content-type"), "application/json; charset=utf-8");
  await clock.advance(499);
  assert.equal(state(body.id), "created");
  await clock.advance(1);
  assert.equal(state(body.id), "starting");
  await clock.advance(500);
  const { body: machine } = await send(`GET /machines/${body.id}`);
  assert.equal(machine.state, "started");
  const seen = machine.events.map(({ type, status }) => `${type} ${status}`);
  assert.deepEqual(seen, ["start started", "start starting", "launch created"]);
});

Deno.test("stop, delete without force, delete with force, gone", async () => {
  const { clock, send, create } = virtualSimulator();
  const id = await create();
  await clock.advance(300);
  const refused = await send(`DELETE /machines/${id}`);
  assert.equal(refused.status, 412);
  assert.match(
    refused.body.error,
    /^failed_precondition: unable to destroy machine, not currently/,
  );

  assert.deepEqual((await send(`POST /machines/${id}/stop`, { signal: "SIGINT" })).json, {
    ok: true,
  });
  assert.equal((await send(`GET /machines/${id}`)).body.state, "stopping");
  await clock.advance(100);
  const stopped = (await send(`GET /machines/${id}`)).body;
  assert.equal(stopped.state, "stopped");
  assert.equal(stopped.events[0]?.request?.exit_event.requested_stop, true);

  assert.deepEqual((await send(`DELETE /machines/${id}`)).json, { ok: true });
  assert.equal((await send(`GET /machines/${id}`)).body.state, "destroying");
  await clock.advance(100);
  const gone = await send(`GET /machines/${id}`);
  assert.deepEqual([gone.status, gone.json], [404, { error: "not_found: machine not found" }]);
  assert.equal((await send(`DELETE /machines/${id}?force=true`)).status, 404);
  assert.deepEqual((await send("GET /machines")).json, []);
  const listed = (await send("GET /machines?include_deleted=true")).items;
  assert.deepEqual([listed[0]?.id, listed[0]?.state], [id, "destroyed"]);
});

Deno.test("a destroyed machine can stay visible for a while", async () => {
  const { clock, send, create } = virtualSimulator({ settings: { getAfterDestroyMs: 5000 } });
  const id = await create();
  await send(`DELETE /machines/${id}?force=true`);
  await clock.advance(5099);
  assert.equal((await send(`GET /machines/${id}`)).body.state, "destroyed");
  await clock.advance(1);
  assert.equal((await send(`GET /machines/${id}`)).status, 404);
});

Deno.test("wait answers at the moment of the state, or 408 when its timeout ran out", async () => {
  const { clock, simulator, send, create } = virtualSimulator({
    settings: { startDelayMs: 90_000 },
  });
  const id = await create();
  const begin = clock.now();
  const late = await send(`GET /machines/${id}/wait?state=started&timeout=60`);
  assert.equal(late.status, 408);
  assert.equal(
    late.body.error,
    "deadline_exceeded: machine failed to reach desired state, started, currently starting",
  );
  assert.equal(clock.now() - begin, 60_000);
  const { json } = await send(`GET /machines/${id}/wait`);
  const { instance_id: version, events } = (await send(`GET /machines/${id}`)).body;
  assert.deepEqual(json, { ok: true, state: "started", event_id: events[0]?.id, version });
  assert.equal(clock.now() - begin, 90_000);

  for (const timeout of [0, 61, -1]) {
    const { status, body } = await send(
      `GET /machines/${id}/wait?state=started&timeout=${timeout}`,
    );
    assert.equal(status, 400);
    assert.equal(
      body.error,
      "invalid_argument: invalid WaitMachineRequest.Timeout: value must be inside range [1s, 1m0s]",
    );
  }
  assert.equal((await send(`GET /machines/${id}/wait?state=created`)).status, 400);
  assert.equal((await send("GET /machines/00000000000000/wait")).status, 404);
  assert.equal(clock.pending, 0, "no sleeper is left behind");
  simulator.configure({ waitForUnreachable: "at-once" });
  const before = clock.now();
  assert.equal((await send(`GET /machines/${id}/wait?state=suspended`)).status, 408);
  simulator.configure({ waitForUnreachable: "409-at-once" });
  assert.equal((await send(`GET /machines/${id}/wait?state=suspended`)).status, 409);
  assert.equal(clock.now(), before);
});

Deno.test("a wait notices what another call does to its machine", async () => {
  const { clock, simulator, direct, create } = virtualSimulator();
  const id = await create();
  await clock.advance(300);
  const waiting = direct(`GET /machines/${id}/wait?state=destroyed&timeout=60`);
  await clock.advance(1000);
  simulator.killMachine("machine-1");
  const begin = clock.now();
  assert.equal((await clock.run(waiting)).body.state, "destroyed");
  assert.equal(clock.now() - begin, 100);
});

Deno.test("a wait ends when its caller leaves", async () => {
  const { clock, simulator, create } = virtualSimulator();
  const id = await create();
  const caller = new AbortController();
  const left = assert.rejects(
    simulator.fetch(
      new Request(`https://api.machines.dev/v1/apps/demo/machines/${id}/wait?state=suspended`, {
        headers: { authorization: "Bearer fly-simulator-token" },
        signal: caller.signal,
      }),
    ),
    { name: "AbortError" },
  );
  await clock.advance(1000);
  assert.equal(clock.pending, 1);
  caller.abort();
  await left;
  await clock.advance(0);
  assert.deepEqual([clock.pending, simulator.callsInFlight], [0, 0]);
  assert.equal(simulator.requests().at(-1)?.clientLeft, true);
});

Deno.test("a name is unique within an app until its machine is destroyed", async () => {
  const { clock, simulator, direct, send } = virtualSimulator({
    apps: ["demo", "other"],
    settings: { latencyMs: { minMs: 0, maxMs: 50 } },
  });
  const replies = await clock.run(
    Promise.all(Array.from({ length: 50 }, () => direct("POST /machines", MACHINE))),
  );
  const made = replies.filter(({ status }) => status === 200);
  assert.equal(made.length, 1);
  const id = made[0]?.body.id;
  for (const { status, body } of replies.filter((reply) => reply !== made[0])) {
    assert.equal(status, 409);
    assert.equal(
      body.error,
      `already_exists: unique machine name violation, machine ID ${id} already exists with name "machine-1"`,
    );
  }
  assert.equal(simulator.machines().length, 1);
  await send(`DELETE /machines/${id}?force=true`);
  assert.equal((await send("POST /machines", MACHINE)).status, 409);
  await clock.advance(100);
  assert.equal((await send("POST /machines", MACHINE)).status, 200);
});

const ENDS: MachineState[] = ["destroying", "failed", "stopped", "launch_failed"];

/** What may follow each state, from the documentation's page on Machine states. */
const FOLLOWS: Partial<Record<MachineState, MachineState[]>> = {
  created: ["starting", ...ENDS],
  starting: ["started", "stopping", ...ENDS],
  started: ["stopping", "suspending", "restarting", "replacing", ...ENDS],
  restarting: ["started", "stopping", "replacing", ...ENDS],
  replacing: ["starting", ...ENDS],
  suspending: ["suspended", "starting", "stopping", ...ENDS],
  suspended: ["starting", "stopping", "replacing", ...ENDS],
  stopping: ENDS,
  stopped: ["starting", "replacing", ...ENDS],
  failed: ["starting", "replacing", ...ENDS],
  launch_failed: ["destroying"],
  // An exit on the way has an event of its own.
  destroying: ["destroying", "destroyed"],
  destroyed: [],
};

const CALLS = ["start", "stop", "suspend", "restart"];

Deno.test("no schedule of calls leads to an impossible history or two machines of one name", async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("create"), name: fc.constantFrom("a", "b") }),
    fc.record({
      do: fc.constantFrom(...CALLS, "update", "force", "delete", "kill", "fail", "exit"),
      nth: fc.nat(4),
    }),
    fc.record({ do: fc.constant("pass"), ms: fc.nat(1500) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const { clock, simulator, send } = virtualSimulator();
      for (const step of steps) {
        if ("name" in step) await send("POST /machines", { ...MACHINE, name: step.name });
        if ("ms" in step) await clock.advance(step.ms);
        const target = "nth" in step ? simulator.machines()[step.nth] : undefined;
        if (target) {
          const path = `/machines/${target.id}`;
          if (CALLS.includes(step.do)) await send(`POST ${path}/${step.do}`);
          if (step.do === "update") await send(`POST ${path}`, MACHINE);
          if (step.do === "exit" && target.state === "started") {
            simulator.operator.exit(target.id, { exitCode: 1, times: 3 });
          }
          if (step.do === "force") await send(`DELETE ${path}?force=true`);
          if (step.do === "delete") await send(`DELETE ${path}`);
          if (step.do === "kill" && target.live) simulator.killMachine(target.id);
          if (step.do === "fail" && target.live) simulator.failMachine(target.id);
        }
        const held = simulator.machines().filter(({ state }) => state !== "destroyed")
          .map(({ name }) => name);
        assert.equal(new Set(held).size, held.length);
      }
      await clock.advance(60_000);
      for (const { history, scheduled } of simulator.machines()) {
        assert.deepEqual(scheduled, []);
        assert.equal(history[0]?.state, "created");
        for (const [index, { state }] of history.entries()) {
          const next = history[index + 1]?.state;
          if (next) assert.ok(FOLLOWS[state]?.includes(next), `${state} -> ${next}`);
        }
      }
    }),
    { numRuns: 200 },
  );
});

Deno.test("one seed gives one run, byte for byte", async () => {
  const run = async () => {
    const { clock, simulator, send } = virtualSimulator();
    const bodies = [];
    for (const name of ["a", undefined, "b"]) {
      bodies.push((await send("POST /machines", { ...MACHINE, name })).json);
    }
    await clock.advance(1000);
    bodies.push((await send("GET /machines")).json);
    return JSON.stringify([bodies, simulator.requests(), simulator.machines()]);
  };
  assert.equal(await run(), await run());
});
