/** Reconcile makes every row follow its machine, for the machine's whole life. */
import assert from "node:assert/strict";
import { assertError, assertProvisioned, assertSuccess } from "../support/expectations.ts";
import { assertRun } from "../support/reconcile-run.ts";
import { FLY_TOKEN, type MachineRow, type Stack, startStack } from "../support/stack.ts";
import { until } from "../support/until.ts";

async function provision(stack: Stack): Promise<MachineRow> {
  const user = await stack.supabase.createUser();
  const row = await assertProvisioned(stack, await stack.call(user, { body: {} }));
  await stack.ageRows();
  return row;
}

/** Somebody else at Fly.io's API. */
function callFly({ simulator }: Stack, method: string, path: string): Promise<Response> {
  return simulator.fetch(
    new Request(`https://api.machines.dev/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${FLY_TOKEN}` },
    }),
  );
}

function machinePath({ fly_app_name, fly_machine_id }: MachineRow): string {
  return `/apps/${fly_app_name}/machines/${fly_machine_id}`;
}

async function assertRow(
  stack: Stack,
  { machine_id }: MachineRow,
  status: string,
  reason: string | null,
): Promise<MachineRow> {
  const row = await stack.row(machine_id);
  assert.deepEqual([row.status, row.stop_reason], [status, reason]);
  return row;
}

/** What ends a machine, and what its row says after one run of reconcile. */
const ENDS: Record<
  string,
  { reason: string; crashed: boolean; end: (stack: Stack, id: string) => void }
> = {
  "the program ends with 0": {
    reason: "exit code 0",
    crashed: true,
    end: ({ simulator }, id) => simulator.operator.exit(id),
  },
  "the program crashes beyond its restarts": {
    reason: "exit code 1",
    crashed: true,
    end: ({ simulator }, id) => simulator.operator.exit(id, { exitCode: 1, times: 9, uptimeMs: 1 }),
  },
  "the memory runs out": {
    reason: "out of memory",
    crashed: true,
    end: ({ simulator }, id) =>
      simulator.operator.exit(id, { oomKilled: true, times: 9, uptimeMs: 1 }),
  },
  "an operator stops it at Fly.io": {
    reason: "requested",
    crashed: false,
    end: ({ simulator }, id) => simulator.stopMachine(id),
  },
};

Deno.test("a machine that ends is stopped in its row, with the reason", async (t) => {
  await using stack = await startStack({ fly: { settings: { restartDelayMs: 1 } } });
  const { simulator } = stack;

  for (const [name, { reason, crashed, end }] of Object.entries(ENDS)) {
    await t.step(name, async () => {
      const row = await provision(stack);
      end(stack, row.machine_id);
      await until("it is stopped", () => simulator.machine(row.machine_id)?.state === "stopped");
      const answer = await assertRun(stack, crashed ? { crashed: 1 } : { stopped: 1 });
      await assertRow(stack, row, "stopped", reason);
      const event = (await stack.historyOf(row.machine_id)).at(-1);
      assert.equal(event?.kind, crashed ? "crashed" : "stopped");
      assert.equal(event.error_code, crashed ? "machine_stopped" : null);
      const happenedAt = Date.parse(String(event.detail["happenedAt"]));
      const { history = [] } = simulator.machine(row.machine_id) ?? {};
      assert.equal(happenedAt, history.at(-1)?.at);
      const errors = (await stack.log(answer)).filter(({ level }) => level === "error");
      assert.equal(errors.length, crashed ? 1 : 0);
      if (crashed) assert.ok(errors[0]?.text.includes(row.machine_id));
      // Nothing more to do, and no call beyond the list.
      await stack.ageRows();
      simulator.clearRequests();
      await assertRun(stack, {});
      assert.deepEqual(simulator.requests().map(({ action }) => action), ["list"]);
    });
  }

  await t.step("a machine between two restarts is left alone", async () => {
    const row = await provision(stack);
    simulator.configure({ restartDelayMs: 60_000 });
    simulator.operator.exit(row.machine_id, { exitCode: 1, times: 2, uptimeMs: 1 });
    simulator.configure({ restartDelayMs: 1 });
    await assertRun(stack, {});
    await assertRow(stack, row, "running", null);
    // Its restart is minutes away: not for the steps that follow.
    simulator.killMachine(row.machine_id);
    await until("it is gone", () => simulator.machine(row.machine_id)?.state === "destroyed");
    await assertRun(stack, { suspected: 1 });
    await stack.ageSightings();
    await assertRun(stack, { lost: 1 });
  });

  await t.step("started again by another party: running again, and no failure", async () => {
    const row = await provision(stack);
    simulator.stopMachine(row.machine_id);
    await until("it is stopped", () => simulator.machine(row.machine_id)?.state === "stopped");
    await assertRun(stack, { stopped: 1 });
    await until(
      "Fly.io takes the start",
      async () => (await callFly(stack, "POST", `${machinePath(row)}/start`)).ok,
    );
    await until("it is started", () => simulator.machine(row.machine_id)?.state === "started");
    await assertRun(stack, {});
    await stack.ageRows();
    await assertRun(stack, { started: 1 });
    await assertRow(stack, row, "running", null);
  });

  await t.step("suspended after a wake that no run saw: the reason follows", async () => {
    const row = await provision(stack);
    simulator.stopMachine(row.machine_id);
    await until("it is stopped", () => simulator.machine(row.machine_id)?.state === "stopped");
    await assertRun(stack, { stopped: 1 });
    for (const [change, state] of [["start", "started"], ["suspend", "suspended"]] as const) {
      await until(
        `Fly.io takes the ${change}`,
        async () => (await callFly(stack, "POST", `${machinePath(row)}/${change}`)).ok,
      );
      await until(`it is ${state}`, () => simulator.machine(row.machine_id)?.state === state);
    }
    await stack.ageRows();
    await assertRun(stack, { stopped: 1 });
    await assertRow(stack, row, "stopped", "suspended");
    await stack.ageRows();
    await assertRun(stack, {});
  });

  await t.step("failed at Fly.io: two sightings, then destroyed and the limit free", async () => {
    const user = await stack.supabase.createUser();
    const row = await assertProvisioned(stack, await stack.call(user, { body: {} }));
    simulator.failMachine(row.machine_id, { state: "failed", exitCode: 137, reason: "OOM" });
    await assertRun(stack, { suspected: 1 });
    await assertRun(stack, { suspected: 1 });
    await assertRow(stack, row, "running", null);
    await stack.ageSightings();
    await assertRun(stack, { crashed: 1 });
    const closed = await assertRow(stack, row, "error", null);
    assert.equal(closed.error_code, "machine_failed");
    assert.match(closed.error_message ?? "", /exit code 137/);
    await assertRun(stack, { cleanedUp: 1 });
    assert.deepEqual(stack.liveMachines(row.machine_id), []);
    assertSuccess(await stack.call(user, { body: {} }), 200, "running");
  });

  await t.step("a stopped machine that is gone is lost", async () => {
    const row = await provision(stack);
    simulator.stopMachine(row.machine_id);
    await until("it is stopped", () => simulator.machine(row.machine_id)?.state === "stopped");
    await assertRun(stack, { stopped: 1 });
    simulator.killMachine(row.machine_id);
    await until("it is gone", () => simulator.machine(row.machine_id)?.state === "destroyed");
    await assertRun(stack, { suspected: 1 });
    await stack.ageSightings();
    await assertRun(stack, { lost: 1 });
    assert.equal((await assertRow(stack, row, "error", null)).error_code, "machine_lost");
  });
});

Deno.test("an idle machine is stopped by Fly Proxy, and its row says so", async () => {
  await using stack = await startStack({
    env: { FLY_ORG_SLUG: "personal", MACHINE_AUTOSTOP: "stop" },
    fly: { settings: { organizationListDelayMs: 0 } },
  });
  const row = await provision(stack);
  const machine = stack.simulator.world.findMachine(row.machine_id);
  assert.ok(machine);
  const [service] = machine.identity.config.services as Record<string, unknown>[];
  assert.deepEqual([service?.["autostop"], service?.["autostart"]], ["stop", true]);
  stack.simulator.stopMachine(row.machine_id);
  await until("it is stopped", () => stack.simulator.machine(row.machine_id)?.state === "stopped");
  await assertRun(stack, { stopped: 1 });
  await assertRow(stack, row, "stopped", "idle");
});

Deno.test("a suspend of unknown outcome explains a stop shortly after it, and no later one", async () => {
  await using stack = await startStack({
    env: { FLY_ORG_SLUG: "personal", MACHINE_AUTOSTOP: "stop", MAX_MACHINES_PER_USER: "2" },
    fly: { settings: { organizationListDelayMs: 0 } },
  });
  for (const [ageMinutes, reason] of [[10, "idle"], [0, "requested"]] as const) {
    const row = await provision(stack);
    stack.simulator.addFault({
      match: { action: "suspend" },
      times: "always",
      do: { kind: "status", status: 503, body: { error: "the machine's host is unreachable" } },
    });
    const answer = await stack.callAsService({ path: `/${row.machine_id}/suspend` });
    assertError(answer, 500, "fly_unavailable");
    stack.simulator.clearFaults();
    await stack.ageEvents(ageMinutes);
    stack.simulator.stopMachine(row.machine_id);
    const machine = () => stack.simulator.machine(row.machine_id);
    await until("it is stopped", () => machine()?.state === "stopped");
    await assertRun(stack, { stopped: 1 });
    await assertRow(stack, row, "stopped", reason);
  }
});

Deno.test("a shared app that is deleted: its rows are closed, and owners may go on", async () => {
  await using stack = await startStack();
  const user = await stack.supabase.createUser();
  const row = await assertProvisioned(stack, await stack.call(user, { body: {} }));
  const other = await stack.supabase.createUser();
  const second = await assertProvisioned(stack, await stack.call(other, { body: {} }));
  const response = await callFly(stack, "DELETE", `/apps/${row.fly_app_name}?force=true`);
  assert.equal(response.status, 202);
  await until("the app is gone", async () => {
    const { body } = await stack.callAsService({ method: "GET", path: "/health" });
    return JSON.stringify(body).includes("does not know this app");
  });
  await assertRun(stack, { suspected: 2 });
  const gone = await stack.call(other, { method: "DELETE", path: `/${second.machine_id}` });
  assert.equal(gone.status, 200, JSON.stringify(gone.body));
  await stack.ageSightings();
  await assertRun(stack, { lost: 1 });
  assert.equal((await stack.row(row.machine_id)).error_code, "machine_lost");
  assertError(await stack.call(user, { body: {} }), 500, "fly_rejected");
});

Deno.test("a list that lacks a region still shows what failed elsewhere", async () => {
  await using stack = await startStack({
    env: { FLY_ORG_SLUG: "personal", FLY_REGIONS: "iad,lhr" },
    fly: { settings: { organizationListDelayMs: 0 } },
  });
  const { simulator } = stack;
  const user = await stack.supabase.createUser();
  const row = await assertProvisioned(stack, await stack.call(user, { body: { region: "lhr" } }));
  simulator.world.regions.setAnswers("iad", false);
  simulator.failMachine(row.machine_id, { state: "failed", exitCode: 1 });
  // Incomplete lists are reported, and prove nothing about what they lack.
  assert.deepEqual((await stack.reconcile()).body.suspected, 1);
  await stack.ageSightings();
  assert.equal((await stack.reconcile()).body.crashed, 1);
  assert.equal((await assertRow(stack, row, "error", null)).error_code, "machine_failed");
});

Deno.test("a machine that a list lacks is judged by its own answer", async (t) => {
  await using stack = await startStack();
  const { simulator } = stack;
  const hideFromLists = () =>
    simulator.addFault({
      match: { action: "list" },
      times: "always",
      do: { kind: "status", status: 200, body: [] },
    });

  await t.step("failed: the second sighting", async () => {
    const row = await provision(stack);
    simulator.failMachine(row.machine_id, { state: "failed", exitCode: 1 });
    await assertRun(stack, { suspected: 1 });
    await stack.ageSightings();
    hideFromLists();
    await assertRun(stack, { crashed: 1 });
    assert.equal((await assertRow(stack, row, "error", null)).error_code, "machine_failed");
    simulator.clearFaults();
    await assertRun(stack, { cleanedUp: 1 });
  });

  await t.step('one wrong 404 and one wrong "failed" do not confirm each other', async () => {
    for (const first of ["404", "failed"]) {
      const row = await provision(stack);
      const getAnswers = (status: number, body: unknown) =>
        simulator.addFault({
          match: { action: "get" },
          times: 1,
          do: { kind: "status", status, body },
        });
      const { fly_machine_id: id, machine_id: name, region } = row;
      for (const wrong of [first, first === "404" ? "failed" : "404"]) {
        hideFromLists();
        if (wrong === "404") getAnswers(404, { error: "machine not found" });
        else getAnswers(200, { id, name, region, state: "failed" });
        await assertRun(stack, { suspected: 1 });
        simulator.clearFaults();
        await stack.ageSightings();
      }
      await assertRow(stack, row, "running", null);
      await assertRun(stack, {});
      const { missing_since, failed_since } = await assertRow(stack, row, "running", null);
      assert.deepEqual([missing_since, failed_since], [null, null]);
    }
  });

  await t.step("stopped: its row follows", async () => {
    const row = await provision(stack);
    simulator.stopMachine(row.machine_id);
    await until("it is stopped", () => simulator.machine(row.machine_id)?.state === "stopped");
    hideFromLists();
    await assertRun(stack, { stopped: 1 });
    await assertRow(stack, row, "stopped", "requested");
    simulator.clearFaults();
  });
});

Deno.test("a list that shows a failed machine is not contradicted by a 404", async () => {
  await using stack = await startStack();
  const { simulator } = stack;
  const row = await provision(stack);
  simulator.failMachine(row.machine_id, { state: "failed", exitCode: 1 });
  simulator.addFault({
    match: { action: "get" },
    times: "always",
    do: { kind: "status", status: 404, body: { error: "machine not found" } },
  });
  await assertRun(stack, {});
  await stack.ageSightings();
  await assertRun(stack, {});
  await assertRow(stack, row, "running", null);
  simulator.clearFaults();
  await assertRun(stack, { suspected: 1 });
  await stack.ageSightings();
  await assertRun(stack, { crashed: 1 });
});

Deno.test("many pages of an organisation's list, each with its limit: read to the end", async () => {
  await using stack = await startStack({
    env: { FLY_ORG_SLUG: "personal", MAX_MACHINES_PER_USER: "20" },
    fly: { settings: { organizationListDelayMs: 0, organizationPageMax: 2 } },
  });
  const { simulator } = stack;
  const user = await stack.supabase.createUser();
  const rows = await Promise.all(
    Array.from(
      { length: 8 },
      async () => await assertProvisioned(stack, await stack.call(user, { body: {} })),
    ),
  );
  await stack.ageRows();
  const [first] = rows;
  assert.ok(first);
  simulator.stopMachine(first.machine_id);
  await until("it is stopped", () => simulator.machine(first.machine_id)?.state === "stopped");
  simulator.addFault({
    match: { action: "organization-machines" },
    skip: 3,
    times: 2,
    do: { kind: "status", status: 429, body: { error: "rate limit exceeded" } },
  });
  await assertRun(stack, { stopped: 1 });
});
