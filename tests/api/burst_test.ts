/**
 * Bursts at Fly.io's limit, in virtual time: the function's own code, the project's migrations, the
 * simulator's rate limiter. All times here are virtual, so a busy machine changes nothing.
 */
import assert from "node:assert/strict";
import { type Burst, BurstWorld, type Outcome } from "../../bench/burst/burst-world.ts";

const INTERVAL_MS = 1_000;
const BURST = 3;
const START_DELAY_MS = 1_000;
/** One provisioning alone: its calls, and the machine's start. */
const ALONE_MS = 1_150;

const times = <T>(n: number, make: (index: number) => T) =>
  Array.from({ length: n }, (_, i) => make(i));
const failed = (burst: Burst): Outcome[] => burst.outcomes.filter(({ status }) => status !== 200);

function refusedAppCreates({ simulator }: Burst): number {
  return simulator.requests().filter(({ method, path, status }) =>
    method === "POST" && path === "/v1/apps" && status === 429
  ).length;
}

/** Asserts that each 200, and no other answer, has a machine, and that each row agrees. */
async function assertTrueAnswers(
  world: BurstWorld,
  { outcomes, simulator }: Burst,
): Promise<void> {
  const machines = simulator.liveMachines().filter(({ name }) => !name.startsWith("stranger"));
  const succeeded = outcomes.filter(({ status }) => status === 200);
  assert.deepEqual(
    machines.map(({ name }) => name).sort(),
    succeeded.map(({ machineId }) => machineId).sort(),
  );
  assert.ok(machines.every(({ state }) => state === "started"));
  const rows = await world.database.rows();
  assert.equal(rows.length, outcomes.length);
  for (const { machineId, status, code } of outcomes) {
    const row = rows.find(({ machine_id }) => machine_id === machineId);
    assert.equal(row?.status, status === 200 ? "running" : "error");
    assert.equal(row?.error_code, code);
  }
  const left = await world.database.stack.sql(
    "select * from fly_create_slots where cloud_machine_id is not null",
  );
  assert.deepEqual(left, [], "no slot is taken any more");
}

Deno.test("bursts", async (t) => {
  await using world = await BurstWorld.open();

  await t.step(
    "100 users at once: no call fails, Fly.io refuses none, no slot is lost",
    async () => {
      const calls = 100;
      const burst = await world.run({
        calls: times(calls, (user) => ({ user })),
        startDelayMs: START_DELAY_MS,
      });
      assert.deepEqual(failed(burst), []);
      assert.ok(burst.refused < 3, `${burst.refused} creates were refused`);
      const minimumMs = (calls - BURST) * INTERVAL_MS + ALONE_MS;
      assert.ok(
        burst.makespanMs <= 1.1 * minimumMs,
        `${burst.makespanMs} ms, the minimum is ${minimumMs} ms`,
      );
      await assertTrueAnswers(world, burst);
    },
  );

  await t.step("no seed makes Fly.io refuse: slots allow for an uneven network", async () => {
    for (const seed of [11, 12, 13, 14]) {
      const burst = await world.run({ calls: times(25, (user) => ({ user })), seed, isolates: 4 });
      assert.deepEqual([failed(burst), burst.refused], [[], 0], `seed ${seed}`);
    }
  });

  await t.step("more calls than the budget has slots: the rest are refused at once", async () => {
    const env = { PROVISION_TIMEOUT_SECONDS: "20" };
    const burst = await world.run({ calls: times(30, (user) => ({ user })), env });
    const refused = failed(burst);
    assert.ok(refused.length > 0 && refused.length < 30);
    for (const { code, answeredAtMs, retryAfterSeconds } of refused) {
      assert.equal(code, "fly_rate_limited");
      assert.ok(answeredAtMs < INTERVAL_MS, "a call without a chance is refused at once");
      assert.ok(retryAfterSeconds !== null && retryAfterSeconds > 0);
    }
    // No slot of the budget stayed empty: 20 s, less the reserves for closing and for the start.
    const slots = BURST + Math.floor((20 - 4 - 4 - 0.2) * 1_000 / INTERVAL_MS);
    assert.equal(burst.outcomes.length - refused.length, slots);
    await assertTrueAnswers(world, burst);

    const soonest = Math.min(...refused.map(({ retryAfterSeconds }) => retryAfterSeconds ?? 0));
    const again = await world.run({
      calls: [
        ...times(30, (user) => ({ user })),
        { user: 99, atMs: soonest * 1_000 + INTERVAL_MS },
      ],
      env,
    });
    assert.equal(again.outcomes.at(-1)?.status, 200, "Retry-After was long enough");
  });

  await t.step(
    "users take turns: 40 calls of one user delay each of the others by at most a turn",
    async () => {
      const greedy = times(40, () => ({ user: 0 }));
      const modest = times(8, (index) => ({ user: index + 1, atMs: 1_500 + index }));
      const burst = await world.run({ calls: [...greedy, ...modest] });
      assert.deepEqual(failed(burst), []);
      const waits = burst.outcomes.filter(({ user }) => user !== 0)
        .map(({ sentAtMs, answeredAtMs }) => answeredAtMs - sentAtMs - ALONE_MS);
      // Ahead of each are one create of the greedy user, and the modest users that came earlier.
      const turnMs = (modest.length + 1) * INTERVAL_MS + 200;
      assert.ok(Math.max(...waits) <= turnMs, `waits: ${waits.join(", ")}`);
      const last = Math.max(
        ...burst.outcomes.filter(({ user }) => user === 0).map((o) => o.answeredAtMs),
      );
      assert.ok(last <= (40 + 8 - BURST) * INTERVAL_MS + ALONE_MS + 1_000, "no slot was lost");
    },
  );

  await t.step(
    "a 429 nevertheless delays all creates: few more follow, and no call fails",
    async () => {
      const strangersAtMs = [5_000, 5_001, 9_000];
      const burst = await world.run({ calls: times(40, (user) => ({ user })), strangersAtMs });
      assert.deepEqual(failed(burst), []);
      assert.ok(burst.refused >= 1, "the other program used up a token");
      assert.ok(burst.refused <= strangersAtMs.length + 1, `${burst.refused} refusals`);
      await assertTrueAnswers(world, burst);
    },
  );

  await t.step(
    "an app for each: creates are paced per organisation, and no call fails",
    async () => {
      const burst = await world.run({
        calls: times(20, (user) => ({ user })),
        env: { FLY_ORG_SLUG: "personal", FLY_ROUTER_URL: "wss://router.example.com" },
      });
      assert.deepEqual(failed(burst), []);
      assert.equal(refusedAppCreates(burst), 0);
      await assertTrueAnswers(world, burst);
    },
  );

  await t.step(
    "addresses that Fly.io limits per organisation slow all down, fail none",
    async () => {
      const burst = await world.run({
        calls: times(10, (user) => ({ user })),
        env: { FLY_ORG_SLUG: "personal" },
      });
      assert.deepEqual(failed(burst), []);
      await assertTrueAnswers(world, burst);
    },
  );

  await t.step("two apps drain a burst twice as fast", async () => {
    const apps = ["burst-app", "burst-app-2"];
    const burst = await world.run({
      calls: times(40, (user) => ({ user })),
      env: { FLY_APP_NAME: apps.join(",") },
      apps,
    });
    assert.deepEqual([failed(burst), burst.refused], [[], 0]);
    const minimumMs = (40 / 2 - BURST) * INTERVAL_MS + ALONE_MS;
    assert.ok(burst.makespanMs <= 1.1 * minimumMs, `${burst.makespanMs} of ${minimumMs} ms`);
  });
});
