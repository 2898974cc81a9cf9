/**
 * Keeps the list of machines current: over Realtime where the project has it, by polling where it
 * does not, and not at all while offline.
 */
import type { Call } from "./call.ts";
import { isOnline, onAbort, onNetworkChange } from "./host.ts";
import { list } from "./list.ts";
import { subscribe } from "./realtime.ts";
import type { ListedMachine } from "./rows.ts";
import type { RealtimeSource, Watch, WatchOptions, WatchState } from "./types.ts";
import { backoff } from "./wait.ts";

const POLL_WHILE_BUSY_MS = 1_000;
const POLL_MS = 10_000;
/** Realtime does not guarantee delivery, so the rows are still read now and then. */
const POLL_BESIDE_REALTIME_MS = 30_000;
/** A read without a response must not leave old rows looking current. */
const READ_TIMEOUT_MS = 10_000;
/** Changes come in bursts: a row and its event, each with its own message. */
const SETTLE_MS = 50;

/** Starts at once. */
export function watch(
  call: Call,
  realtime: RealtimeSource | undefined,
  { onMachines, onState, pollMs, limit, events, signal: ended }: WatchOptions,
): Watch {
  const closing = new AbortController();
  const { signal } = closing;
  let machines: ListedMachine[] = [];
  let readAt: number | null = null;
  let subscribed = false;
  /** The last read succeeded, and the browser has been online since. */
  let current = false;
  let failures = 0;
  let reading = false;
  let readAgain = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const report = () => onState?.(stateOf(failures, current, subscribed), readAt);
  const nextDelay = () =>
    failures ? backoff(failures + 2) : pollMs?.(machines) ?? usualDelay(machines, subscribed);
  const refresh = (delayMs = 0) => {
    clearTimeout(timer);
    if (!signal.aborted && isOnline()) timer = setTimeout(read, delayMs);
  };
  async function read(): Promise<void> {
    readAgain = reading;
    if (reading) return;
    reading = true;
    try {
      machines = await list(call, {
        limit,
        events,
        signal,
        maxAttempts: 1,
        timeoutMs: READ_TIMEOUT_MS,
      });
      failures = 0;
      current = true;
      readAt = Date.now();
    } catch {
      // Shown as the state `failing`; each further attempt waits longer.
      failures++;
      current = false;
    }
    reading = false;
    if (signal.aborted) return;
    refresh(readAgain ? 0 : nextDelay());
    if (current) onMachines(machines);
    report();
  }

  const subscription = realtime && subscribe(realtime, () => refresh(SETTLE_MS), (is) => {
    subscribed = is;
    // Changes made before the subscription began were not sent to this client.
    refresh(is ? 0 : nextDelay());
    report();
  });
  const stops = [
    onNetworkChange(() => {
      current = false;
      failures = 0;
      report();
      subscription?.retry();
      refresh();
    }),
    () => subscription?.close(),
    () => clearTimeout(timer),
  ];
  const close = () => {
    closing.abort();
    stops.forEach((stop) => stop());
  };
  stops.push(onAbort(ended, close));
  report();
  void read();
  return { refresh, close };
}

function stateOf(failures: number, current: boolean, subscribed: boolean): WatchState {
  if (!isOnline()) return "offline";
  if (failures) return "failing";
  return !current ? "reading" : subscribed ? "realtime" : "polling";
}

function usualDelay(machines: ListedMachine[], subscribed: boolean): number {
  const busy = machines.some(({ status }) => status === "provisioning");
  return busy ? POLL_WHILE_BUSY_MS : subscribed ? POLL_BESIDE_REALTIME_MS : POLL_MS;
}
