/**
 * How others handle the limit: they do not know it, get a 429 and try again. Each caller is alone, as
 * isolates without a shared schedule are. The same simulator, latencies and budget as for ours.
 */
import {
  FLY_RATE_LIMITS,
  FlySimulator,
  type Random,
  seededRandom,
} from "../../dev/stack/fly/mod.ts";
import { VirtualClock } from "../../dev/stack/clock.ts";

/** Milliseconds to sleep after refusal number `attempt` (from 1). */
export type Pause = (attempt: number, random: Random) => number;

/** As FLAME does it: sleep a second, post again. https://hex.pm/packages/flame */
export const sleepAndRetry: Pause = (): number => 1_000;

/**
 * Exponential with full jitter, from 1 s up to 20 s.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export const fullJitter: Pause = (attempt: number, random: Random): number =>
  random() * Math.min(20_000, 1_000 * 2 ** (attempt - 1));

export interface StrategyResult {
  makespanMs: number;
  refused: number;
  failures: number;
  /** Every create that reached Fly.io, in order. */
  creates: { atMs: number; status: number }[];
}

/** `calls` callers at the same moment, each with `budgetMs` until it must have its machine. */
export async function runStrategy(
  pause: Pause,
  options: { calls: number; budgetMs: number; startDelayMs: number; seed: number },
): Promise<StrategyResult> {
  const time = new VirtualClock();
  const startedAt = time.now();
  const random = seededRandom(options.seed);
  const simulator = new FlySimulator({
    apps: ["app"],
    tokens: ["token"],
    clock: time,
    random,
    settings: {
      startDelayMs: options.startDelayMs,
      latencyMs: { minMs: 40, maxMs: 60 },
      rateLimits: FLY_RATE_LIMITS,
    },
  });
  const headers = { authorization: "Bearer token", "content-type": "application/json" };
  const machines = "https://api.machines.dev/v1/apps/app/machines";
  let lastDoneMs = 0;
  let failures = 0;
  let refused = 0;
  const caller = async (index: number) => {
    for (let attempt = 1;; attempt++) {
      const response = await simulator.fetch(
        new Request(machines, {
          method: "POST",
          headers,
          body: JSON.stringify({ name: `m-${index}`, region: "iad", config: { image: "i" } }),
        }),
      );
      const { id } = await response.json();
      if (response.ok) {
        await simulator.fetch(
          new Request(`${machines}/${id}/wait?state=started&timeout=60`, { headers }),
        );
        lastDoneMs = Math.max(lastDoneMs, time.now() - startedAt);
        return;
      }
      refused++;
      const waitMs = pause(attempt, random);
      if (time.now() - startedAt + waitMs + options.startDelayMs > options.budgetMs) {
        failures++;
        return;
      }
      await time.sleep(waitMs);
    }
  };
  let done = false;
  const all = Promise.all(Array.from({ length: options.calls }, (_, index) => caller(index)))
    .then(() => done = true);
  await time.runUntil(() => done, Infinity);
  await all;
  const creates = simulator.requests().filter(({ action }) => action === "create")
    .map(({ atMs, status }) => ({ atMs: atMs - startedAt, status: status ?? 0 }));
  return { makespanMs: lastDoneMs, refused, failures, creates };
}
