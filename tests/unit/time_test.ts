/** Deadlines, time limits, waiting, back-off and work in parallel, in virtual time. */
import assert from "node:assert/strict";
import { VirtualClock } from "../../dev/stack/clock.ts";
import { lazy } from "../../supabase/functions/provision-machine/runtime.ts";
import {
  backoffMs,
  Deadline,
  inParallel,
  sleep,
  TimeoutError,
  withTimeout,
} from "../../supabase/functions/provision-machine/time.ts";

const forever = () => new Promise<never>(() => {});

Deno.test("time: a deadline counts down to zero and has then passed", () => {
  const clock = new VirtualClock();
  const deadline = Deadline.after(clock, 1_000);
  assert.equal(deadline.at, clock.now() + 1_000);
  for (const [passedMs, remainingMs] of [[0, 1_000], [999, 1], [1, 0], [5_000, 0]] as const) {
    clock.jump(passedMs);
    assert.equal(deadline.remainingMs(), remainingMs);
    assert.equal(deadline.passed(), remainingMs === 0);
  }
});

Deno.test("time: work within its limit gives its result, and nothing of it is left", async () => {
  const clock = new VirtualClock();
  const parent = new AbortController();
  let signal: AbortSignal | undefined;
  const work = async (given: AbortSignal) => {
    signal = given;
    await clock.sleep(99, given);
    return "done";
  };
  assert.equal(await clock.run(withTimeout(clock, 100, work, parent.signal)), "done");
  const failing = () => Promise.reject(new Error("failed"));
  await assert.rejects(withTimeout(clock, 100, failing), { message: "failed" });
  assert.equal(clock.pending, 0);
  parent.abort();
  assert.equal(signal?.aborted, false);
});

Deno.test("time: work beyond its limit is aborted and rejected, even if it ignores its signal", async () => {
  const clock = new VirtualClock();
  const startedAt = clock.now();
  let reason: unknown;
  const result = withTimeout(clock, 100, (signal) => {
    signal.addEventListener("abort", () => reason = signal.reason);
    return forever();
  });
  await assert.rejects(clock.run(result), (error) => {
    assert.ok(error instanceof TimeoutError);
    assert.equal(error.timeoutMs, 100);
    assert.equal(error.message, "no answer within 100 ms");
    assert.equal(reason, error);
    return true;
  });
  assert.equal(clock.now() - startedAt, 100);
});

Deno.test("time: work ends with its parent signal, with the parent's reason", async () => {
  const clock = new VirtualClock();
  const parent = new AbortController();
  const why = new Error("not wanted any more");
  let signal: AbortSignal | undefined;
  const result = withTimeout(clock, 100, (given) => {
    signal = given;
    return forever();
  }, parent.signal);
  parent.abort(why);
  await assert.rejects(result, (error) => error === why);
  assert.equal(signal?.reason, why);
  assert.equal(clock.pending, 0);

  let started = false;
  const late = withTimeout(clock, 100, () => {
    started = true;
    return forever();
  }, parent.signal);
  await assert.rejects(late, (error) => error === why);
  assert.ok(!started, "work began although its parent was aborted");
});

Deno.test("time: a sleep lasts as long as it says, or until it is aborted", async () => {
  const clock = new VirtualClock();
  const startedAt = clock.now();
  const controller = new AbortController();
  await clock.run(sleep(clock, 250, controller.signal));
  assert.equal(clock.now() - startedAt, 250);

  const why = new Error("stop");
  const aborted = sleep(clock, 1_000, controller.signal);
  controller.abort(why);
  await assert.rejects(aborted, (error) => error === why);
  await assert.rejects(sleep(clock, 1_000, controller.signal), (error) => error === why);
  assert.equal(clock.pending, 0);
});

Deno.test("time: back-off doubles up to 8 s, with full jitter, and never undercuts the upstream", () => {
  const at = (random: number) => ({ random: () => random });
  const ceilings = [1, 2, 3, 4, 5, 6, 20].map((attempt) => backoffMs(at(1), attempt));
  assert.deepEqual(ceilings, [500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
  assert.equal(backoffMs(at(0), 3), 0);
  assert.equal(backoffMs(at(0.5001), 3), 1_000);
  assert.equal(backoffMs(at(0.5), 3, 1_500), 1_500);
  assert.equal(backoffMs(at(1), 3, 1_500), 2_000);
});

Deno.test("time: in parallel, at most so many at a time, and each once", async () => {
  const clock = new VirtualClock();
  const startedAt = clock.now();
  const done: number[] = [];
  let running = 0;
  let most = 0;
  await clock.run(inParallel(3, [10, 20, 30, 40, 50, 60, 70], async (ms) => {
    most = Math.max(most, ++running);
    await clock.sleep(ms);
    running--;
    done.push(ms);
  }));
  assert.deepEqual(done, [10, 20, 30, 40, 50, 60, 70]);
  assert.equal(most, 3);
  assert.equal(clock.now() - startedAt, 10 + 40 + 70);
  await inParallel(3, [], () => Promise.reject(new Error("never called")));
});

Deno.test("time: in parallel, the first failure is the result", async () => {
  const failing = inParallel(2, ["a", "b", "c"], async (name) => {
    await Promise.resolve();
    throw new Error(name);
  });
  await assert.rejects(failing, { message: "a" });
});

Deno.test("time: something lazy is loaded once, and again only after a failure", async () => {
  let loads = 0;
  const load = lazy(async () => {
    await Promise.resolve();
    if (++loads === 1) throw new Error("no network");
    return loads;
  });
  assert.equal(loads, 0);
  await assert.rejects(Promise.all([load(), load()]), { message: "no network" });
  assert.deepEqual(await Promise.all([load(), load(), load()]), [2, 2, 2]);
});
