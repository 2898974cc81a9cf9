/** Whether the list of machines is current, and if not, as of when it is. */
import { badge } from "./badge.ts";
import { fill, h } from "./dom.ts";
import { clockTime } from "./format-time.ts";
import type { Connection } from "./watch-machines.ts";
import type { Tone } from "./tone.ts";

interface Meaning {
  tone: Tone;
  text: string;
  current: boolean;
}

const CURRENT: Meaning = { tone: "good", text: "Up to date", current: true };
const CONNECTIONS: Record<Connection, Meaning> = {
  reading: { tone: "busy", text: "Loading", current: false },
  realtime: CURRENT,
  polling: CURRENT,
  offline: { tone: "warning", text: "Offline", current: false },
  failing: { tone: "warning", text: "Supabase does not respond, trying again", current: false },
};

/** Whether what is shown is known to be current. */
export function isCurrent(connection: Connection): boolean {
  return CONNECTIONS[connection].current;
}

export class ConnectionBadge {
  readonly element = h("div", { role: "status", class: "connection" });
  #shown: Connection | undefined;

  /** @param readAt when the list was last read, in milliseconds since the epoch; null: never */
  show(connection: Connection, readAt: number | null): void {
    const { tone, text } = CONNECTIONS[connection];
    // An unchanged state is not announced again.
    if (connection === this.#shown) return;
    this.#shown = connection;
    this.element.dataset["connection"] = connection;
    fill(
      this.element,
      badge(tone, text),
      !isCurrent(connection) && readAt !== null &&
        h("span", { class: "as-of" }, `as of ${clockTime(readAt)}`),
    );
  }
}
