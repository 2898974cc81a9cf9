/**
 * An isolate of the function: an app of its own with a runtime of its own, which can be ended at any
 * await as the platform does. An ended isolate never gets what it waited for.
 */
import { createApp } from "../../supabase/functions/provision-machine/app.ts";
import { Isolate } from "../../supabase/functions/provision-machine/isolate.ts";
import { IN_FLIGHT } from "../../supabase/functions/provision-machine/provision/in-flight.ts";
import { ROUTES } from "../../supabase/functions/provision-machine/routes.ts";
import {
  type Clock,
  platformRuntime,
  type Runtime,
} from "../../supabase/functions/provision-machine/runtime.ts";
import type { Random } from "../../dev/stack/fly/mod.ts";
import type { VirtualClock } from "../../dev/stack/clock.ts";

// Loaded by the function when first needed. Reading and compiling a module is real work that is
// not announced to the clock, so virtual time would pass meanwhile.
import "../../supabase/functions/provision-machine/alerts/after-failure.ts";
import "../../supabase/functions/provision-machine/auth/verify-user-token.ts";
import "../../supabase/functions/provision-machine/database/database.ts";
import "../../supabase/functions/provision-machine/destroy/handle-destroy.ts";
import "../../supabase/functions/provision-machine/provision/handle-provision.ts";
import "../../supabase/functions/provision-machine/reconcile/handle-reconcile.ts";

/** Carries one call of an isolate to its upstream. */
export type Carry = (
  isolate: SimulatedIsolate,
  request: Request,
  signal: AbortSignal | null,
) => Promise<
  Response
>;

export interface IsolateOptions {
  name: string;
  env: Record<string, string>;
  time: VirtualClock;
  random: Random;
  carry: Carry;
}

/** What a caller gets when the isolate ends before it answers. */
export const CONNECTION_LOST = Symbol("connection lost");

export class SimulatedIsolate {
  readonly name: string;
  /** Work that was given to `waitUntil` and is not done. */
  readonly background = new Set<Promise<unknown>>();
  readonly #isolate: Isolate;
  readonly #handler: (request: Request) => Promise<Response>;
  readonly #end = new AbortController();
  readonly #time: VirtualClock;
  readonly #clock: Clock = {
    now: () => this.#time.now(),
    after: (ms, callback) => {
      const cancel = this.#time.after(ms, callback);
      // The timers of an isolate that ended are gone with it.
      this.#end.signal.addEventListener("abort", cancel, { once: true });
      return () => {
        this.#end.signal.removeEventListener("abort", cancel);
        cancel();
      };
    },
  };

  constructor({ name, env, time, random, carry }: IsolateOptions) {
    this.name = name;
    this.#time = time;
    const bytes = (length: number) => Uint8Array.from({ length }, () => Math.floor(random() * 256));
    const runtime: Runtime = {
      env: (name) => env[name],
      fetch: (input, init) =>
        this.#whileAlive(
          // The signal is handed on beside the request: a call goes on when its caller leaves.
          carry(this, new Request(input, { ...init, signal: null }), init?.signal ?? null),
        ),
      clock: this.#clock,
      randomBytes: bytes,
      randomUUID: () => `r-${bytes(8).toHex()}`,
      random,
      sha256: (text) => time.track(platformRuntime.sha256(text)),
      hmacSha256: (key, text) => time.track(platformRuntime.hmacSha256(key, text)),
      waitUntil: (work) => {
        if (!this.alive) return;
        const tracked: Promise<unknown> = work.finally(() => this.background.delete(tracked));
        this.background.add(tracked);
      },
    };
    this.#isolate = new Isolate(runtime);
    this.#handler = createApp(this.#isolate, ROUTES);
  }

  get alive(): boolean {
    return !this.#end.signal.aborted;
  }

  /** Sends the function a request. */
  async fetch(request: Request): Promise<Response | typeof CONNECTION_LOST> {
    const { promise: lost, resolve } = Promise.withResolvers<typeof CONNECTION_LOST>();
    this.#end.signal.addEventListener("abort", () => resolve(CONNECTION_LOST), { once: true });
    return await Promise.race([this.#handler(request), lost]);
  }

  /** Ends the isolate at the await where it is. */
  crash(): void {
    this.background.clear();
    this.#end.abort(new Error("the isolate ended"));
  }

  /** What the platform does to an isolate that lived long enough. */
  async shutDown(): Promise<void> {
    const handedOver = IN_FLIGHT.of(this.#isolate).handOver("wall_clock", this.#clock);
    handedOver.catch(
      () => {/* its rejection is reported as unhandled elsewhere: it never rejects */},
    );
    await this.#time.sleep(2_000, this.#end.signal).catch(() => {/* crashed meanwhile */});
    if (this.alive) this.crash();
  }

  /** The promise, as long as the isolate lives; after that it stays pending. */
  #whileAlive<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      promise.then(
        (value) => this.alive && resolve(value),
        (error) => this.alive && reject(error),
      );
    });
  }
}
