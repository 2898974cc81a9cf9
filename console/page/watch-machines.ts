/**
 * Keeps the list of machines current, as the client does, and more often while something is expected.
 * Other tabs of this browser learn of changes seen here.
 */
import type { ListedMachine, ProvisionMachineClient, Watch } from "provision-machine-client";
import { isLive } from "./machine-status.ts";
import { type MachineRow, parseMachines } from "./machines.ts";

const POLL_WHILE_BUSY_MS = 1_000;
/** Many machines run within two seconds, and the user is waiting for theirs. */
const QUICK_MS = 250;
const QUICK_READS = 8;
/** Changes come in bursts: a row and its event, each with its own message. */
const SETTLE_MS = 50;
const NEWEST = 8;

/** `reading`: nothing is known yet, or not since the browser was offline. */
export type Connection = "reading" | "realtime" | "polling" | "offline" | "failing";

export interface WatchOptions {
  client: ProvisionMachineClient;
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
  readonly #watch: Watch;
  /** Number of reads since changes were expected. */
  #reads = 0;
  #expected = false;
  /** The last rows were of a form that this page does not know. */
  #unreadable = false;
  #lastSeen: string | undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#otherTabs = new BroadcastChannel(`provision-machine:${options.userId}`);
    this.#watch = options.client.watch({
      limit: NEWEST,
      events: true,
      onMachines: (rows) => this.#show(rows),
      onState: (state, readAt) => {
        const connection = state === "realtime" || state === "polling"
          ? this.#unreadable ? "failing" : state
          : state;
        options.onConnection(connection, readAt);
      },
      pollMs: (rows) => this.#nextDelay(rows),
    });
    this.#listen();
  }

  /** While a call is under way: reads often, even before there is a row. */
  expectChanges(expected: boolean): void {
    this.#expected = expected;
    this.#reads = 0;
    this.#watch.refresh(expected ? SETTLE_MS : 0);
  }

  stop(): void {
    this.#stopped.abort();
    this.#otherTabs.close();
    this.#watch.close();
  }

  #listen(): void {
    const { signal } = this.#stopped;
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.#watch.refresh();
    }, { signal });
    this.#otherTabs.addEventListener("message", () => this.#watch.refresh(), { signal });
  }

  /** Null: as often as usual. */
  #nextDelay(rows: ListedMachine[]): number | null {
    this.#reads++;
    if (this.#expected && this.#reads < QUICK_READS) return QUICK_MS;
    const busy = rows.some((machine) =>
      machine.status === "provisioning" ||
      (isLive(machine) && machine.destroy_requested_at !== null)
    );
    return busy || this.#expected ? POLL_WHILE_BUSY_MS : null;
  }

  #show(rows: ListedMachine[]): void {
    const machines = parseMachines(rows);
    this.#unreadable = machines === null;
    if (machines === null) return;
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
