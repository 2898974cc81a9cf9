/**
 * Keeps the list of machines current: over Realtime where the project has it, by polling where it
 * does not, and not at all while offline. Other tabs of this browser learn of changes seen here.
 */
import type { SupabaseClient } from "@supabase/supabase-js";
import { isLive } from "./machine-status.ts";
import { type MachineRow, readMachines } from "./machines.ts";
import { RealtimeSubscription } from "./realtime.ts";

const POLL_WHILE_BUSY_MS = 1_000;
/** Many machines run within two seconds, and the user is waiting for theirs. */
const QUICK_MS = 250;
const QUICK_READS = 8;
const POLL_MS = 10_000;
/** Realtime does not guarantee delivery, so the rows are still read now and then. */
const POLL_BESIDE_REALTIME_MS = 30_000;
const BACKOFF_MAX_MS = 30_000;
/** A read without a response must not leave old rows looking current. */
const READ_TIMEOUT_MS = 10_000;
/** Changes come in bursts: a row and its event, each with its own message. */
const SETTLE_MS = 50;

/** `reading`: nothing is known yet, or not since the browser was offline. */
export type Connection = "reading" | "realtime" | "polling" | "offline" | "failing";

export interface WatchOptions {
  supabase: SupabaseClient;
  userId: string;
  onMachines: (machines: MachineRow[]) => void;
  /** @param readAt when the rows were last read, in milliseconds since the epoch; null: never */
  onConnection: (connection: Connection, readAt: number | null) => void;
}

/** Starts at once. */
export class MachineWatcher {
  readonly #options: WatchOptions;
  readonly #stopped = new AbortController();
  readonly #otherTabs: BroadcastChannel;
  readonly #subscription: RealtimeSubscription;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #reading = false;
  #readAgain = false;
  #failures = 0;
  /** Number of reads since changes were expected. */
  #reads = 0;
  #busy = false;
  #expected = false;
  #realtime = false;
  /** The last read succeeded, and the browser has been online since. */
  #current = false;
  #readAt: number | null = null;
  #lastSeen: string | undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
    const { supabase, userId } = options;
    this.#otherTabs = new BroadcastChannel(`provision-machine:${userId}`);
    this.#subscription = new RealtimeSubscription({
      supabase,
      userId,
      onChange: () => this.#schedule(SETTLE_MS),
      onState: (subscribed) => {
        this.#realtime = subscribed;
        // Changes made before the subscription began were not sent to this tab.
        this.#schedule(subscribed ? 0 : this.#nextDelay());
        this.#report();
      },
    });
    this.#listen();
    this.#report();
    this.#subscription.start();
    void this.#read();
  }

  /** While a call is under way: reads often, even before there is a row. */
  expectChanges(expected: boolean): void {
    if (this.#stopped.signal.aborted) return;
    this.#expected = expected;
    this.#reads = 0;
    this.#schedule(expected ? SETTLE_MS : 0);
  }

  stop(): void {
    this.#stopped.abort();
    clearTimeout(this.#timer);
    this.#otherTabs.close();
    this.#subscription.stop();
  }

  #listen(): void {
    const { signal } = this.#stopped;
    const onNetwork = () => {
      this.#current = false;
      this.#failures = 0;
      this.#report();
      if (!navigator.onLine) {
        clearTimeout(this.#timer);
        return;
      }
      this.#subscription.start();
      this.#schedule(0);
    };
    globalThis.addEventListener("online", onNetwork, { signal });
    globalThis.addEventListener("offline", onNetwork, { signal });
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.#schedule(0);
    }, { signal });
    this.#otherTabs.addEventListener("message", () => this.#schedule(0), { signal });
  }

  #report(): void {
    this.#options.onConnection(this.#connection(), this.#readAt);
  }

  #connection(): Connection {
    if (!navigator.onLine) return "offline";
    if (this.#failures > 0) return "failing";
    if (!this.#current) return "reading";
    return this.#realtime ? "realtime" : "polling";
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer);
    if (this.#stopped.signal.aborted || !navigator.onLine) return;
    this.#timer = setTimeout(() => void this.#read(), delayMs);
  }

  #nextDelay(): number {
    if (this.#failures > 0) {
      return Math.min(POLL_WHILE_BUSY_MS * 2 ** this.#failures, BACKOFF_MAX_MS);
    }
    if (this.#expected && this.#reads < QUICK_READS) return QUICK_MS;
    if (this.#busy || this.#expected) return POLL_WHILE_BUSY_MS;
    return this.#realtime ? POLL_BESIDE_REALTIME_MS : POLL_MS;
  }

  async #read(): Promise<void> {
    const { signal } = this.#stopped;
    if (this.#reading) {
      this.#readAgain = true;
      return;
    }
    this.#reading = true;
    try {
      this.#reads++;
      const timely = AbortSignal.any([signal, AbortSignal.timeout(READ_TIMEOUT_MS)]);
      const machines = await readMachines(this.#options.supabase, timely);
      if (signal.aborted) return;
      this.#failures = 0;
      this.#current = true;
      this.#readAt = Date.now();
      this.#show(machines);
    } catch {
      // Shown as the state of the connection; each further attempt waits longer.
      this.#failures++;
      this.#current = false;
    } finally {
      this.#reading = false;
      if (!signal.aborted) this.#report();
      this.#schedule(this.#readAgain ? 0 : this.#nextDelay());
      this.#readAgain = false;
    }
  }

  #show(machines: MachineRow[]): void {
    this.#busy = machines.some((machine) =>
      machine.status === "provisioning" ||
      (isLive(machine) && machine.destroy_requested_at !== null)
    );
    const seen = JSON.stringify(machines);
    // Another tab reads because of this message, finds the change and sends one too; by then this
    // tab has seen it, so the messages stop.
    if (seen !== this.#lastSeen && this.#lastSeen !== undefined) {
      this.#otherTabs.postMessage("changed");
    }
    this.#lastSeen = seen;
    this.#options.onMachines(machines);
  }
}
