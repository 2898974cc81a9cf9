/** The platform ends an isolate that is still provisioning: nothing is lost or unlogged. */
import assert from "node:assert/strict";
import { type Answer, type MachineRow, type Stack, startStack } from "../support/stack.ts";
import { assertProvisioned } from "../support/expectations.ts";
import { until } from "../support/until.ts";

const ENTRY = new URL("../support/function-with-unload.ts", import.meta.url);

Deno.test("beforeunload", async (t) => {
  await using stack = await startStack();
  const { simulator, supabase } = stack;

  await t.step("the row is handed over to reconcile, which logs the failure", async () => {
    simulator.addFault({ match: { action: "create" }, do: { kind: "never-starts" } });
    const { requestId, row } = await beginProvisioning(stack);
    unload(stack);
    const history = await handedOver(stack, row);
    assert.deepEqual(history?.detail, { reason: "wall_clock" });
    assert.equal(history.request_id, requestId);
    const left = await stack.row(row.machine_id);
    assert.equal(left.status, "provisioning");
    assert.ok(
      Date.parse(left.reconcile_at ?? "") < Date.parse(left.deadline_at),
      "reconcile need not wait for the deadline",
    );

    await stack.fn.kill();
    await stack.restart();
    await stack.makeDue(row.machine_id);
    const run = await stack.reconcile();
    assert.equal(run.body.interrupted, 1);
    const failure = (await stack.log(run)).find(({ level }) => level === "error");
    assert.ok(failure?.text.includes(row.machine_id));
    assert.equal((await stack.row(row.machine_id)).error_code, "interrupted");
    assert.deepEqual(stack.liveMachines(row.machine_id), []);
  });

  await t.step("a request that still finishes gets a true answer", async () => {
    const release = holdBack(stack);
    const { answer, row } = await beginProvisioning(stack);
    unload(stack);
    await handedOver(stack, row);
    release();
    const finished = await answer as Answer;
    await assertProvisioned(stack, finished);
    const levels = (await stack.log(finished)).map(({ level }) => level);
    assert.ok(!levels.includes("error"), levels.join());
  });

  await t.step("the database is out: that is logged too", async () => {
    const release = holdBack(stack);
    const { answer, requestId, row } = await beginProvisioning(stack);
    supabase.addFault({
      match: { rpc: "hand_over_to_reconcile" },
      times: 3,
      do: { kind: "status", status: 503 },
    });
    unload(stack);
    await until(
      "the failure is logged",
      () => stack.fn.events(requestId).some(({ level }) => level === "error"),
    );
    const failed = stack.fn.events(requestId).find(({ level }) => level === "error");
    assert.match(failed?.message ?? "", /could not be handed over; reconcile takes it/);
    release();
    await assertProvisioned(stack, await answer as Answer);
    assert.equal((await stack.historyOf(row.machine_id)).some(isHandedOver), false);
  });

  await t.step("with nothing under way nothing happens", async () => {
    await stack.restart({}, { entry: ENTRY });
    unload(stack);
    const user = await supabase.createUser();
    await assertProvisioned(stack, await stack.call(user, { body: {} }));
    const errors = stack.fn.events().filter(({ level }) => level === "error");
    assert.deepEqual(errors, []);
  });
});

/** Starts a provision in a fresh function; resolves once Fly's id is in the row. */
async function beginProvisioning(stack: Stack): Promise<{
  answer: Promise<Answer | Error>;
  requestId: string;
  row: MachineRow;
}> {
  await stack.restart({}, { entry: ENTRY });
  const user = await stack.supabase.createUser();
  const requestId = crypto.randomUUID();
  const answer = stack.call(user, { headers: { "x-request-id": requestId }, body: {} })
    .catch((error: Error) => error);
  const row = await until("Fly.io has the machine", async () => {
    const [row] = await stack.rowsOf(user);
    return row !== undefined && row.fly_machine_id !== null && row;
  });
  return { answer, requestId, row };
}

/** Keeps the row from becoming `running` until the returned function is called. */
function holdBack({ supabase }: Stack): () => void {
  const { promise: until, resolve } = Promise.withResolvers<void>();
  supabase.addFault({ match: { rpc: "mark_machine_running" }, do: { kind: "hold", until } });
  return resolve;
}

function unload(stack: Stack): void {
  Deno.kill(stack.fn.pid, "SIGUSR1");
}

function isHandedOver({ kind }: { kind: string }): boolean {
  return kind === "handed_over";
}

function handedOver(stack: Stack, row: MachineRow) {
  return until(
    "the row is handed over",
    async () => (await stack.historyOf(row.machine_id)).find(isHandedOver),
  );
}
