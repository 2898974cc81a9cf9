/**
 * Keeps the list of machines current: over Realtime where the project has it, by polling where it has
 * not, not at all while offline. Other tabs of this browser are told of changes made in this one.
 */
import type { RealtimeChannel, SupabaseClient } from "@supabase/supabase-js";
import { isLive, type MachineRow, readMachines } from "./machines.ts";

const POLL_WHILE_BUSY_MS = 1_000;
/** Many machines are there within two seconds: whoever pressed the button wants to see it happen. */
const QUICK_MS = 250;
const QUICK_READS = 8;
const POLL_MS = 10_000;
/** Realtime promises no delivery, so even with it the rows are read again now and then. */
const POLL_BESIDE_REALTIME_MS = 30_000;
const BACKOFF_MAX_MS = 30_000;
const RESUBSCRIBE_MS = 60_000;
/** Changes come in bursts: a row and its event, each with a message of its own. */
const SETTLE_MS = 50;

export type Connection = "connecting" | "realtime" | "polling" | "offline" | "failing";

export interface Watcher {
  /** Reads now, for instance after a call. */
  refresh(): void;
  /** While a call is under way: read often, even before there is a row. */
  expectChanges(expected: boolean): void;
  stop(): void;
}

export interface WatchOptions {
  supabase: SupabaseClient;
  userId: string;
  onMachines: (machines: MachineRow[]) => void;
  onConnection: (connection: Connection) => void;
}

export function watchMachines(
  { supabase, userId, onMachines, onConnection }: WatchOptions,
): Watcher {
  const stopped = new AbortController();
  const { signal } = stopped;
  const otherTabs = new BroadcastChannel(`provision-machine:${userId}`);
  let timer: ReturnType<typeof setTimeout> | undefined;
  let reading = false;
  let readAgain = false;
  let failures = 0;
  /** Since changes were expected. */
  let reads = 0;
  let busy = false;
  let expected = false;
  let realtime = false;
  let channel: RealtimeChannel | undefined;
  let resubscribe: ReturnType<typeof setTimeout> | undefined;
  let lastSeen: string | undefined;

  const report = () =>
    onConnection(
      !navigator.onLine ? "offline" : failures > 0 ? "failing" : realtime ? "realtime" : "polling",
    );
  const schedule = (delayMs: number) => {
    clearTimeout(timer);
    if (!signal.aborted && navigator.onLine) timer = setTimeout(read, delayMs);
  };
  const nextDelay = () => {
    const usual = expected && reads < QUICK_READS
      ? QUICK_MS
      : busy || expected
      ? POLL_WHILE_BUSY_MS
      : realtime
      ? POLL_BESIDE_REALTIME_MS
      : POLL_MS;
    return failures === 0 ? usual : Math.min(POLL_WHILE_BUSY_MS * 2 ** failures, BACKOFF_MAX_MS);
  };

  async function read(): Promise<void> {
    if (reading) {
      readAgain = true;
      return;
    }
    reading = true;
    try {
      reads++;
      const machines = await readMachines(supabase, signal);
      if (signal.aborted) return;
      failures = 0;
      busy = machines.some((machine) =>
        machine.status === "provisioning" ||
        (isLive(machine) && machine.destroy_requested_at !== null)
      );
      const seen = JSON.stringify(machines);
      // Another tab that learns something by this tells in turn, and then nothing is new to anybody.
      if (seen !== lastSeen && lastSeen !== undefined) otherTabs.postMessage("changed");
      lastSeen = seen;
      onMachines(machines);
    } catch {
      // Shown as the state of the connection; the next attempt comes later each time.
      failures++;
    } finally {
      reading = false;
      if (!signal.aborted) report();
      schedule(readAgain ? 0 : nextDelay());
      readAgain = false;
    }
  }

  function subscribe(): void {
    if (channel || signal.aborted) return;
    clearTimeout(resubscribe);
    const mine = supabase.channel(`machines:${userId}`);
    channel = mine;
    for (const table of ["cloud_machines", "machine_events"]) {
      mine.on("postgres_changes", { event: "*", schema: "public", table }, () => {
        schedule(SETTLE_MS);
      });
    }
    mine.subscribe((status) => {
      if (signal.aborted || channel !== mine) return;
      realtime = status === "SUBSCRIBED";
      if (status === "SUBSCRIBED") {
        // What changed before the subscription began was told to nobody.
        schedule(0);
      } else {
        // Polling takes over. supabase-js would go on trying every few seconds.
        channel = undefined;
        void supabase.removeChannel(mine);
        resubscribe = setTimeout(subscribe, RESUBSCRIBE_MS);
        schedule(nextDelay());
      }
      report();
    });
  }

  const wake = () => {
    report();
    if (!navigator.onLine) {
      clearTimeout(timer);
      return;
    }
    failures = 0;
    subscribe();
    schedule(0);
  };
  globalThis.addEventListener("online", wake, { signal });
  globalThis.addEventListener("offline", wake, { signal });
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") schedule(0);
  }, { signal });
  otherTabs.addEventListener("message", () => schedule(0), { signal });

  onConnection("connecting");
  subscribe();
  void read();

  return {
    refresh: () => schedule(0),
    expectChanges(value) {
      expected = value;
      reads = 0;
      schedule(value ? SETTLE_MS : 0);
    },
    stop() {
      stopped.abort();
      clearTimeout(timer);
      clearTimeout(resubscribe);
      otherTabs.close();
      if (channel) void supabase.removeChannel(channel);
    },
  };
}
