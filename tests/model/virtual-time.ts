/**
 * Time of the model test: it stands still while anything runs and jumps when everything waits, so
 * that hours pass in milliseconds and a schedule runs the same way each time.
 *
 * The simulator's own `VirtualClock` counts turns of the event loop, which is not enough here:
 * Postgres and WebCrypto do real work that takes many turns. That work is announced with `track`,
 * and time does not move before it is done.
 */
import { setImmediate } from "node:timers/promises";
import type { Clock as SimulatorClock } from "../../dev/stack/fly/mod.ts";
import { type Clock, sleep } from "../../supabase/functions/provision-machine/runtime.ts";

/** Where every schedule begins. */
export const EPOCH_MS = Date.UTC(2030, 0, 1);

/** Turns of the event loop without any activity after which nothing is left that can run. */
const QUIET_TURNS = 4;

interface Sleeper {
  readonly at: number;
  readonly wake: () => void;
}

/** Of the function and of the simulator. */
export class VirtualTime implements Clock, SimulatorClock {
  /** Counts the wakings: an order of everything that happens. */
  step = 0;
  #now = EPOCH_MS;
  #activity = 0;
  readonly #sleepers = new Set<Sleeper>();
  readonly #work = new Set<Promise<unknown>>();

  now(): number {
    return this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleep(this, ms, signal);
  }

  /** Runs `callback` in `ms` milliseconds, unless the function returned is called before. */
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
   * Wakes one sleeper after the other, by time and by age, until `done`.
   *
   * @returns whether `done` came true; false when nothing is left to wake or the next would be
   *   woken after `notAfterMs`
   */
  async runUntil(done: () => boolean, notAfterMs: number): Promise<boolean> {
    for (;;) {
      await this.#quiet();
      if (done()) return true;
      let next: Sleeper | undefined;
      for (const sleeper of this.#sleepers) {
        if (next === undefined || sleeper.at < next.at) next = sleeper;
      }
      if (next === undefined || next.at > notAfterMs) return false;
      this.#sleepers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      this.step++;
      next.wake();
    }
  }

  /** Jumps ahead; whoever sleeps until before then is woken late, so call it when nobody does. */
  jump(ms: number): void {
    this.#now += ms;
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

/** The operations of WebCrypto that the function uses; each runs on a thread of its own. */
const CRYPTO_OPERATIONS = ["digest", "importKey", "sign", "verify"] as const;

/**
 * Announces every WebCrypto operation to the time of the running schedule, if there is one.
 *
 * @returns takes this back
 */
export function trackCrypto(time: () => VirtualTime | undefined): () => void {
  const { subtle } = crypto;
  for (const operation of CRYPTO_OPERATIONS) {
    const original = subtle[operation].bind(subtle) as (...args: unknown[]) => Promise<unknown>;
    Object.defineProperty(subtle, operation, {
      configurable: true,
      value: (...args: unknown[]) => {
        const work = original(...args);
        return time()?.track(work) ?? work;
      },
    });
  }
  return () => {
    for (const operation of CRYPTO_OPERATIONS) Reflect.deleteProperty(subtle, operation);
  };
}
