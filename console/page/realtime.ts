/** A subscription to the user's rows that is made again after it failed. */
import type { RealtimeChannel, SupabaseClient } from "@supabase/supabase-js";

const RESUBSCRIBE_MS = 60_000;
const TABLES = ["cloud_machines", "machine_events"];

export interface RealtimeOptions {
  supabase: SupabaseClient;
  userId: string;
  /** A row changed, or may have changed before the subscription began. */
  onChange: () => void;
  /** Called with whether changes arrive from now on. */
  onState: (subscribed: boolean) => void;
}

export class RealtimeSubscription {
  readonly #options: RealtimeOptions;
  #channel: RealtimeChannel | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(options: RealtimeOptions) {
    this.#options = options;
  }

  /** Subscribes, unless it is subscribed already. */
  start(): void {
    if (this.#channel || this.#stopped) return;
    clearTimeout(this.#retry);
    const { supabase, userId, onChange } = this.#options;
    const channel = supabase.channel(`machines:${userId}`);
    this.#channel = channel;
    for (const table of TABLES) {
      channel.on("postgres_changes", { event: "*", schema: "public", table }, onChange);
    }
    channel.subscribe((status) => this.#onStatus(channel, status === "SUBSCRIBED"));
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#retry);
    if (this.#channel) void this.#options.supabase.removeChannel(this.#channel);
  }

  #onStatus(channel: RealtimeChannel, subscribed: boolean): void {
    if (this.#stopped || this.#channel !== channel) return;
    if (!subscribed) {
      // Left to itself, supabase-js would try again every few seconds.
      this.#channel = undefined;
      void this.#options.supabase.removeChannel(channel);
      this.#retry = setTimeout(() => this.start(), RESUBSCRIBE_MS);
    }
    this.#options.onState(subscribed);
  }
}
