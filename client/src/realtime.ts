/** A subscription to the user's rows that is made again after it failed. */
import { isOnline, randomId } from "./host.ts";
import type { RealtimeChannelLike, RealtimeSource } from "./types.ts";

const RESUBSCRIBE_MS = 60_000;

export interface Subscription {
  /** Subscribes now, if it waits for its next attempt. */
  retry(): void;
  close(): void;
}

/** Subscribes at once. @param onState called with whether changes arrive from now on */
export function subscribe(
  source: RealtimeSource,
  onChange: () => void,
  onState: (subscribed: boolean) => void,
): Subscription {
  let channel: RealtimeChannelLike | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const leave = () => {
    clearTimeout(timer);
    const left = channel;
    channel = undefined;
    void left?.unsubscribe();
  };
  const start = () => {
    clearTimeout(timer);
    if (channel || !isOnline()) return;
    // supabase-js hands out the same channel for the same name, and one can be joined only once.
    const joined = channel = source.channel(`provision-machine:${randomId()}`);
    for (const table of ["cloud_machines", "machine_events"]) {
      joined.on("postgres_changes", { event: "*", schema: "public", table }, onChange);
    }
    joined.subscribe((status) => {
      if (channel !== joined) return;
      const subscribed = status === "SUBSCRIBED";
      if (!subscribed) {
        // Left to itself, supabase-js would try again every few seconds.
        leave();
        timer = setTimeout(start, RESUBSCRIBE_MS);
      }
      onState(subscribed);
    });
  };
  start();
  return { retry: start, close: leave };
}
