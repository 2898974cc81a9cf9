/** Upstream hiccups that a caller does not notice: one machine, one row, one true 200. */
import assert from "node:assert/strict";
import type { FlyFault, FlyFaultRule } from "../../dev/stack/fly/mod.ts";
import { assertError, assertFailedRow, assertProvisioned } from "../support/expectations.ts";
import { TEST_REGIONS } from "../support/failures.ts";
import { type Answer, FLY_APP, type Stack, startStack } from "../support/stack.ts";

interface Hiccup {
  name: string;
  faults: (region: string) => FlyFaultRule[];
  /** How often a create is sent, and how many calls fail before it succeeds. */
  creates: number;
  failedCalls: number;
}

const once = (action: "create" | "wait", effect: FlyFault) => (region: string): FlyFaultRule[] => [
  { match: { action, region }, do: effect },
];

const HICCUPS: Hiccup[] = [
  {
    name: "a connection that breaks before the create",
    faults: once("create", { kind: "reset", when: "before" }),
    creates: 2,
    failedCalls: 1,
  },
  {
    name: "a connection that breaks after the create",
    faults: once("create", { kind: "reset", when: "after" }),
    creates: 1,
    failedCalls: 1,
  },
  {
    name: "503 without effect",
    faults: once("create", { kind: "status", status: 503, body: { error: "unavailable" } }),
    creates: 2,
    failedCalls: 1,
  },
  {
    name: "500 although the machine was created",
    faults: once("create", { kind: "status", status: 500, effect: true, body: "oops" }),
    creates: 1,
    failedCalls: 1,
  },
  {
    name: "408 although the machine was created",
    faults: once("create", { kind: "status", status: 408, effect: true, body: { error: "late" } }),
    creates: 1,
    failedCalls: 1,
  },
  {
    name: "garbage in place of the machine",
    faults: once("create", { kind: "garbage" }),
    creates: 1,
    failedCalls: 1,
  },
  {
    name: "an answer that breaks off",
    faults: once("create", { kind: "half-answer" }),
    creates: 1,
    failedCalls: 1,
  },
  {
    name: "a rate limit",
    faults: once("create", { kind: "status", status: 429, headers: { "retry-after": "1" } }),
    creates: 2,
    failedCalls: 1,
  },
  {
    name: "a wait that breaks twice",
    faults: (region) => [{
      match: { action: "wait", region },
      times: 2,
      do: { kind: "reset", when: "before" },
    }],
    creates: 1,
    failedCalls: 2,
  },
  {
    name: "a wait that does not know the machine yet",
    faults: once("wait", { kind: "status", status: 404, body: { error: "machine not found" } }),
    creates: 1,
    failedCalls: 1,
  },
  {
    name: "a slow image, for which a wait runs out",
    faults: (region) => [
      { match: { action: "wait", region }, do: { kind: "status", status: 408 } },
    ],
    creates: 1,
    failedCalls: 0,
  },
];

Deno.test("recovering from hiccups", async (t) => {
  await using stack = await startStack({
    env: { FLY_REGIONS: TEST_REGIONS.join(",") },
    fly: { apps: [FLY_APP, "late"], regions: TEST_REGIONS },
  });

  const outcomes = await Promise.all(HICCUPS.map(async (hiccup, index) => {
    const region = TEST_REGIONS[index] ?? "";
    for (const fault of hiccup.faults(region)) stack.simulator.addFault(fault);
    const user = await stack.supabase.createUser();
    return { hiccup, answer: await stack.call(user, { body: { region } }) };
  }));
  for (const { hiccup, answer } of outcomes) {
    await t.step(hiccup.name, () => assertRecovered(stack, hiccup, answer));
  }
  assert.deepEqual(stack.simulator.pendingFaults(), []);

  await t.step("a create that takes effect after the look-up: its machine is adopted", async () => {
    await using fn = await stack.start({ FLY_APP_NAME: "late" });
    stack.simulator.addFault({
      match: { action: "create", path: "/v1/apps/late/*" },
      do: { kind: "reset", when: "after" },
    });
    stack.simulator.addFault({ match: { action: "list" }, do: { kind: "garbage", body: "[]" } });
    const answer = await fn.call(await stack.supabase.createUser(), { body: {} });
    await assertProvisioned(stack, answer);
    const creates = stack.simulator.requests().filter(({ app, action }) =>
      app === "late" && action === "create"
    );
    assert.deepEqual(creates.map(({ status }) => status), [null, 409]);
  });

  await t.step("a list that lags behind: the id in the refusal leads to the machine", async () => {
    await using fn = await stack.start({ FLY_APP_NAME: "late" });
    stack.simulator.addFault({
      match: { action: "create", path: "/v1/apps/late/*" },
      do: { kind: "reset", when: "after" },
    });
    // As on 2026-04-28: lists came back with machines missing for 47 minutes,
    // fly.io/infra-log/machines-api-duplicates.
    stack.simulator.addFault({
      match: { action: "list", path: "/v1/apps/late/*" },
      do: { kind: "garbage", body: "[]" },
      times: "always",
    });
    const answer = await fn.call(await stack.supabase.createUser(), { body: {} });
    await assertProvisioned(stack, answer);
  });

  await t.step("time runs out while the row is read: the database is not blamed", async () => {
    await using fn = await stack.start({ PROVISION_TIMEOUT_SECONDS: "2" });
    stack.simulator.addFault({
      match: { action: "create" },
      do: { kind: "status", status: 503, body: { error: "unavailable" } },
    });
    const remove = stack.supabase.addFault({
      match: { rpc: "take_create_slot" },
      do: { kind: "hang", when: "before" },
    });
    const answer = await fn.call(await stack.supabase.createUser(), { body: {} });
    remove();
    assertError(answer, 500, "provision_timeout");
    await assertFailedRow(stack, answer, "left to reconcile");
  });

  await t.step("lost answers of the database", async (t) => {
    for (const rpc of ["claim_machine", "record_fly_machine", "mark_machine_running"]) {
      for (const when of ["before", "after"] as const) {
        await t.step(`${rpc}: a reset ${when}`, async () => {
          const user = await stack.supabase.createUser();
          stack.supabase.addFault({ match: { rpc }, do: { kind: "reset", when } });
          await assertProvisioned(stack, await stack.call(user, { body: {} }));
          const rows = await stack.rowsOf(user);
          assert.equal(rows.length, 1);
          const history = await stack.historyOf(rows[0]?.machine_id ?? "");
          assert.deepEqual(history.map((event) => event.kind), [
            "claimed",
            "fly_machine_recorded",
            "running",
          ]);
        });
      }
    }
  });

  await t.step("regions without capacity", async (t) => {
    await using fn = await stack.start({
      FLY_REGION_FALLBACK: "true",
      FLY_REGIONS: "iad,qxx,qxy,qxz",
    });
    for (const region of ["qxx", "qxy"]) stack.simulator.setCapacity(region, false, "409-text");
    const asked = async (region?: string) => {
      const user = await stack.supabase.createUser();
      return await fn.call(user, { body: region === undefined ? {} : { region } });
    };
    await t.step("the next of FLY_REGIONS is tried, and the row says where", async () => {
      const answer = await asked("qxy");
      const row = await assertProvisioned(stack, answer);
      assert.equal(row.region, "iad");
    });
    await t.step("no region has capacity", async () => {
      for (const region of ["iad", "qxz"]) stack.simulator.setCapacity(region, false);
      const answer = await asked();
      assertError(answer, 500, "fly_capacity");
      await assertFailedRow(stack, answer);
      const summary = (await fn.log(answer.requestId)).at(-1);
      assert.equal(summary?.["attempts"], 4);
      for (const region of TEST_REGIONS) stack.simulator.setCapacity(region, true);
    });
  });
});

async function assertRecovered(stack: Stack, hiccup: Hiccup, answer: Answer): Promise<void> {
  await assertProvisioned(stack, answer);
  assert.equal(stack.simulator.createBodiesOf(answer.body.machineId).length, hiccup.creates);
  const log = await stack.log(answer);
  assert.deepEqual(log.filter(({ level }) => level === "error"), []);
  const summary = log.at(-1);
  assert.equal(summary?.["attempts"], hiccup.creates);
  const failedCalls = (summary["failedCalls"] ?? []) as string[];
  assert.equal(failedCalls.length, hiccup.failedCalls);
}
