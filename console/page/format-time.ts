/** Points and lengths of time as text, the same everywhere on the page. */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `850 ms`, `2.4 s`, `1 min 30 s`. */
export function formatDuration(ms: number): string {
  if (ms < SECOND) return `${Math.round(ms)} ms`;
  if (ms < MINUTE) return `${(ms / SECOND).toFixed(1)} s`;
  const seconds = Math.round(ms / SECOND);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** `15 s`, `3 min`, `2 h`, `4 days`: whole units, for ages. */
export function roughDuration(ms: number): string {
  if (ms < MINUTE) return `${Math.max(0, Math.floor(ms / SECOND))} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < 2 * DAY) return `${Math.floor(ms / HOUR)} h`;
  return `${Math.floor(ms / DAY)} days`;
}

/** `23:10:05` in local time. */
export function clockTime(time: number | string): string {
  return new Date(time).toLocaleTimeString("en-GB", { hourCycle: "h23" });
}

/** `14:47:26` today, `25 Nov, 14:47` on any other day of this year, `25 Nov 2025` before. */
export function dateTime(time: number | string, now: number = Date.now()): string {
  const date = new Date(time);
  const today = new Date(now);
  if (date.toDateString() === today.toDateString()) return clockTime(time);
  const day = { day: "numeric", month: "short" } as const;
  if (date.getFullYear() !== today.getFullYear()) {
    return date.toLocaleDateString("en-GB", { ...day, year: "numeric" });
  }
  const minutes = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
  return date.toLocaleString("en-GB", { ...day, ...minutes });
}
