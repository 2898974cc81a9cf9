/**
 * Time for the local stack and its tests: the system's clock, and a virtual one on which hours pass
 * in milliseconds and everything happens in the same order each time.
 */
import { setImmediate } from "node:timers/promises";

/** Wall-clock time and waiting. The Fly.io simulator reads the time and sleeps in no other way. */
export interface Clock {
  /** The time now, in milliseconds since the epoch. */
  now(): number;
  /**
   * Resolves after `ms` milliseconds.
   * Rejects with the signal's reason as soon as `signal` is aborted.
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Runs `callback` in `ms` milliseconds, unless the function that it returns is called before. */
type After = (ms: number, callback: () => void) => () => void;

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    sleepWith(
      (ms, callback) => {
        const timer = setTimeout(callback, ms);
        return () => clearTimeout(timer);
      },
      ms,
      signal,
    ),
};

/** Where a virtual clock starts unless it is given another time. */
export const EPOCH_MS = Date.UTC(2030, 0, 1);

/** Turns of the event loop without any activity after which nothing is left that can run. */
const QUIET_TURNS = 4;
/**
 * How often `run` may find nothing to wake before it reports a deadlock: reading the body of a
 * request takes some turns of the event loop that are not announced with `track`.
 */
const IDLE_ROUNDS = 12;

interface Sleeper {
  readonly at: number;
  readonly wake: () => void;
}

/**
 * A clock that stands still while anything runs and jumps ahead when everything waits. Sleepers
 * wake by time, and by age when the time is the same.
 *
 * What waits for nothing but this clock is noticed by counting turns of the event loop. Real work
 * on other threads (Postgres, WebCrypto) takes many turns; it has to be announced with `track`.
 *
 * ```ts
 * const clock = new VirtualClock();
 * const simulator = new FlySimulator({ clock });
 * const response = await clock.run(simulator.fetch(request)); // skips every wait in between
 * ```
 */
export class VirtualClock implements Clock {
  /** Counts the wakings: an order of everything that happens. */
  step = 0;
  #now: number;
  #activity = 0;
  readonly #sleepers = new Set<Sleeper>();
  readonly #work = new Set<Promise<unknown>>();

  /** @param startMs Where the clock starts, in milliseconds since the epoch. */
  constructor(startMs: number = EPOCH_MS) {
    this.#now = startMs;
  }

  now(): number {
    return this.#now;
  }

  /** How many sleeps and timers are pending. */
  get pending(): number {
    return this.#sleepers.size;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepWith((ms, callback) => this.after(ms, callback), ms, signal);
  }

  /** Runs `callback` in `ms` milliseconds, unless the function that it returns is called before. */
  after(ms: number, callback: () => void): () => void {
    this.#activity++;
    // Whole milliseconds, as a real clock and real timers have them.
    const sleeper: Sleeper = { at: this.#now + Math.ceil(Math.max(0, ms)), wake: callback };
    this.#sleepers.add(sleeper);
    return () => {
      if (this.#sleepers.delete(sleeper)) this.#activity++;
    };
  }

  /** Announces real work: time stands still until it settles. */
  track<T>(work: Promise<T>): Promise<T> {
    this.#activity++;
    const settled = work.then(() => {}, () => {/* its own caller sees it */}).finally(() => {
      this.#activity++;
      this.#work.delete(settled);
    });
    this.#work.add(settled);
    return work;
  }

  /**
   * Wakes one sleeper after the other until `done`.
   *
   * @returns whether `done` came true; false when nothing is left to wake or the next would be
   *   woken after `notAfterMs` (milliseconds since the epoch)
   */
  async runUntil(done: () => boolean, notAfterMs: number): Promise<boolean> {
    for (;;) {
      await this.#quiet();
      if (done()) return true;
      const next = this.#next();
      if (next === undefined || next.at > notAfterMs) return false;
      this.#sleepers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      this.step++;
      next.wake();
    }
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
    for (let round = 0; round < IDLE_ROUNDS; round++) {
      if (await this.runUntil(() => settled, Infinity)) return await promise;
    }
    throw new Error("the virtual clock has nothing left to wake, and the promise is pending");
  }

  /** Moves the clock forward by `ms` milliseconds, waking each sleeper at its own time. */
  async advance(ms: number): Promise<void> {
    const target = this.#now + ms;
    await this.runUntil(() => false, target);
    this.#now = target;
    await this.#quiet();
  }

  /** Jumps ahead by `ms` milliseconds. Sleepers in between wake late; use it when there are none. */
  jump(ms: number): void {
    this.#now += ms;
  }

  #next(): Sleeper | undefined {
    let next: Sleeper | undefined;
    for (const sleeper of this.#sleepers) {
      if (next === undefined || sleeper.at < next.at) next = sleeper;
    }
    return next;
  }

  async #quiet(): Promise<void> {
    for (let turns = 0; turns < QUIET_TURNS;) {
      const before = this.#activity;
      await setImmediate();
      while (this.#work.size > 0) await Promise.all(this.#work);
      turns = this.#activity === before ? turns + 1 : 0;
    }
  }
}

function sleepWith(after: After, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = after(ms, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
