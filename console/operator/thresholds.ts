/** When a figure is fine, worth a warning, or bad: as in monitoring/grafana-dashboard.json. */
import type { Tone } from "../page/tone.ts";

/** @param rate 0 to 1; null without any attempt */
export function toneOfRate(rate: number | null): Tone {
  if (rate === null) return "quiet";
  return rate >= 0.99 ? "good" : rate >= 0.95 ? "warning" : "bad";
}

/** Of the oldest row in progress, and of the time since the last reconcile. */
export function toneOfAge(seconds: number): Tone {
  return seconds < 150 ? "good" : seconds < 300 ? "warning" : "bad";
}

/** Of MAX_MACHINES: alerts are sent at 80 % and when nothing is left. */
export function toneOfShare(share: number): Tone {
  return share < 0.8 ? "good" : share < 1 ? "warning" : "bad";
}
