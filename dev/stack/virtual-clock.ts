import { setImmediate } from "node:timers/promises";
import type { Clock } from "./clock.ts";

interface Sleeper {
  readonly at: number;
  readonly wake: () => void;
}

/**
 * How many turns of the event loop may pass without a sleeper or a result before `run` says that
 * nothing will ever happen. Reading a request's body takes a few turns.
 */
const IDLE_TURNS = 50;

/**
 * A clock that stands still until it is told to move, so that hours pass in a test in no time and
 * always in the same order: sleepers wake by time, and by age when the time is the same.
 *
 * ```ts
 * const clock = new VirtualClock();
 * const simulator = new FlySimulator({ clock });
 * const response = await clock.run(simulator.fetch(request)); // skips every wait in between
 * ```
 */
export class VirtualClock implements Clock {
  #now: number;
  #sleepers: Sleeper[] = [];

  /** @param startMs Where the clock starts, in milliseconds since the epoch. */
  constructor(startMs: number = Date.UTC(2026, 0, 1)) {
    this.#now = startMs;
  }

  now(): number {
    return this.#now;
  }

  /** How many sleeps are pending. */
  get pending(): number {
    return this.#sleepers.length;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        reject(signal?.reason);
      };
      const sleeper: Sleeper = {
        at: this.#now + Math.max(0, ms),
        wake: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#sleepers.push(sleeper);
    });
  }

  /** Moves the clock forward by `ms` milliseconds, waking each sleeper at its own time. */
  async advance(ms: number): Promise<void> {
    const target = this.#now + ms;
    await settle();
    while (this.#wakeNext(target)) await settle();
    this.#now = target;
    await settle();
  }

  /**
   * Moves the clock just as far as `promise` needs and returns what it settles to.
   *
   * @throws {Error} when nothing is asleep and the promise still does not settle: a deadlock.
   */
  async run<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const done = () => {
      settled = true;
    };
    promise.then(done, done);
    let idleTurns = 0;
    while (!settled) {
      await settle();
      if (settled) break;
      if (this.#wakeNext(Infinity)) idleTurns = 0;
      else if (++idleTurns > IDLE_TURNS) {
        throw new Error("the virtual clock has nothing left to wake, and the promise is pending");
      }
    }
    return await promise;
  }

  #wakeNext(notAfter: number): boolean {
    let next: Sleeper | undefined;
    for (const sleeper of this.#sleepers) {
      if (sleeper.at <= notAfter && (next === undefined || sleeper.at < next.at)) next = sleeper;
    }
    if (next === undefined) return false;
    this.#sleepers = this.#sleepers.filter((other) => other !== next);
    this.#now = Math.max(this.#now, next.at);
    next.wake();
    return true;
  }
}

/** Lets everything that is ready to run do so. */
async function settle(): Promise<void> {
  await setImmediate();
  await setImmediate();
}
