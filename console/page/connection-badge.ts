/** How the list of machines is kept current, in a few words. */
import { badge, type Tone } from "./badge.ts";
import type { Connection } from "./watch-machines.ts";

const CONNECTIONS: Record<Connection, { tone: Tone; text: string }> = {
  connecting: { tone: "busy", text: "Connecting" },
  realtime: { tone: "good", text: "Live over Realtime" },
  polling: { tone: "good", text: "Live by polling" },
  offline: { tone: "warning", text: "Offline: goes on when you are back" },
  failing: { tone: "warning", text: "Supabase does not answer: trying again" },
};

export function connectionBadge(connection: Connection): HTMLElement {
  const { tone, text } = CONNECTIONS[connection];
  return badge(tone, text);
}
