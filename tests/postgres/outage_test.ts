/** Postgres, Fly.io or both are down: answers, rows, and what reconcile repairs. */
import assert from "node:assert/strict";
import { violations } from "../invariants/settled-system.ts";
import type { Call, CallIntent } from "../invariants/evidence.ts";
import { Load } from "./load.ts";
import { eventually, postgresTest } from "./postgres-test.ts";
import { System } from "./system.ts";

const ENV = { MAX_MACHINES_PER_USER: "10", PROVISION_TIMEOUT_SECONDS: "4" };

postgresTest(
  "what is away, when: the answer, the row, and what reconcile makes of it",
  async (t) => {
    await using system = await System.start({ env: ENV });
    const user = await system.addUser();
    const [isolate] = system.isolates;
    if (isolate === undefined) throw new Error("there is no isolate");
    const provision = (changes: Partial<CallIntent> = {}) =>
      system.call(isolate, user, { kind: "provision", userId: user.id, body: {}, ...changes });
    /** A call whose machine exists already, and whose answer is still to come. */
    const halfway = async () => {
      const before = system.simulator.machines().length;
      const answered = provision();
      await eventually("the machine exists", () => system.simulator.machines().length > before);
      return { answered };
    };
    // Keys are cached and the schema is known before the first outage, as after any time of peace.
    const first = JSON.parse((await provision()).answer?.text ?? "{}");
    assert.equal(first.status, "running");

    await t.step("Postgres, before the row: database_error, and Fly.io hears nothing", async () => {
      system.simulator.clearRequests();
      await system.postgres.stop("immediate");
      for (
        const call of [
          await provision({ key: "again" }),
          await provision({ key: "again", async: true }),
          await system.call(isolate, null, { kind: "provision", body: { userId: user.id } }),
          await system.call(isolate, user, { kind: "destroy", machineId: first.machineId }),
        ]
      ) {
        const body = failure(call);
        assert.deepEqual([body.code, body.machineId], ["database_error", null], call.answer?.text);
      }
      assert.deepEqual(system.simulator.requests(), []);
      const reconcile = await system.call(isolate, null, { kind: "reconcile" });
      assert.equal(failure(reconcile).code, "database_error");
      assert.ok(!system.simulator.requests().some(({ tookEffect }) => tookEffect));

      await system.postgres.start();
      assert.equal((await provision({ key: "again" })).answer?.status, 200);
      await assertInOrder(system);
    });

    await t.step("Postgres, after the row: the answer says that the row may be stale", async () => {
      system.simulator.addFault({
        match: { action: "create" },
        do: { kind: "delay", ms: 700, when: "after" },
      });
      const { answered } = await halfway();
      await system.postgres.stop("immediate");
      const body = failure(await answered);
      assert.equal(body.code, "database_error");
      assert.match(body.machineId, /^machine-/);
      assert.match(
        body.message,
        /The row may still say provisioning; it is repaired within minutes/,
      );
      // The row may say running, as far as the request knows, so the machine lives.
      const machine = system.simulator.machines().find(({ name }) => name === body.machineId);
      assert.equal(machine?.live, true);

      await system.postgres.start();
      assert.equal(await statusOf(system, body.machineId), "provisioning");
      await assertInOrder(system);
      assert.equal(await statusOf(system, body.machineId), "running");
    });

    await t.step("Postgres and Fly.io, after the row: reconcile repairs both", async () => {
      const { startDelayMs } = system.simulator.settings;
      system.simulator.configure({ startDelayMs: 60_000 });
      const { answered } = await halfway();
      await Promise.all([system.postgres.stop("fast"), system.stopFly()]);
      const body = failure(await answered);
      assert.match(
        body.message,
        /may still say provisioning.*leftover Fly machine will be destroyed/s,
      );
      const lives = () =>
        system.simulator.liveMachines().some(({ name }) => name === body.machineId);
      assert.ok(lives());

      await Promise.all([system.postgres.start(), system.startFly()]);
      await assertInOrder(system);
      assert.ok(!lives());
      system.simulator.configure({ startDelayMs });
    });

    await t.step("Fly.io: each call fails with its row, each machine goes in the end", async () => {
      await system.stopFly();
      const body = failure(await provision());
      assert.ok(["fly_unavailable", "provision_timeout"].includes(body.code), body.code);
      assert.equal(await statusOf(system, body.machineId), "error");
      const { machineId } = first;
      const destroy = failure(await system.call(isolate, user, { kind: "destroy", machineId }));
      assert.equal(destroy.code, "fly_unavailable");
      assert.match(destroy.message, /could not be destroyed yet; it will be within minutes/);
      assert.equal(await statusOf(system, machineId), "running");

      await system.startFly();
      await assertInOrder(system);
      assert.equal(await statusOf(system, machineId), "destroyed");
    });
  },
);

postgresTest("outages of Postgres, of Fly.io and of both under load", async () => {
  const seed = 7;
  await using system = await System.start({
    env: ENV,
    seed,
    isolates: 2,
    fly: { settings: { startDelayMs: { minMs: 20, maxMs: 500 }, latencyMs: 40 } },
  });
  await Promise.all(Array.from({ length: 8 }, () => system.addUser()));
  const load = new Load(system, { seed, width: 6, reconcileEveryMs: 700 });
  const { postgres } = system;
  const outages = [
    [() => postgres.stop("fast"), () => postgres.start()],
    [() => system.stopFly(), () => system.startFly()],
    [() => postgres.stop("immediate"), () => postgres.start()],
    [
      () => Promise.all([postgres.stop("fast"), system.stopFly()]),
      () => Promise.all([system.startFly(), postgres.start()]),
    ],
  ] as const;
  for (const [begin, end] of outages) {
    await moreAnswers(system, 200, 3);
    await begin();
    await moreAnswers(system, 500, 3);
    await end();
  }
  await moreAnswers(system, 200, 3);
  await load.stop();
  await assertInOrder(system);
});

/** The body of a 500 that may be tried again. */
function failure({ kind, answer }: Call) {
  assert.equal(answer?.status, 500, `${kind}: ${answer?.text}`);
  assert.match(answer?.headers.get("retry-after") ?? "", /^[1-9]\d*$/, answer?.text);
  return JSON.parse(answer?.text ?? "{}");
}

async function statusOf(system: System, machineId: string): Promise<string | undefined> {
  const { rows } = await system.state();
  return rows.find(({ machine_id }) => machine_id === machineId)?.status;
}

async function moreAnswers(system: System, status: number, count: number): Promise<void> {
  const first = system.calls.length;
  await eventually(
    `${count} answers ${status}`,
    () =>
      system.calls.slice(first).filter((call) =>
        call.kind === "provision" && call.answer?.status === status
      ).length >= count,
  );
}

/** Reconciles, then checks every invariant. */
async function assertInOrder(system: System): Promise<void> {
  await system.settle();
  assert.deepEqual(violations(await system.state()), []);
}
