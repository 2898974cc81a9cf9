/** A badge: shape, colour and word at once. */
import { h, icon } from "./dom.ts";
import type { Tone } from "./tone.ts";

const SHAPES: Record<Tone, string> = {
  /** circle with a tick */
  good: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zm-1 10.2L3.9 8.1 5 7l2 2 4-4 1.1 1.1z",
  /** three dots */
  busy:
    "M3 6.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3zm5 0a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3zm5 0a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3z",
  /** octagon with a cross */
  bad:
    "M5 1h6l4 4v6l-4 4H5l-4-4V5zm3 5.9L5.6 4.5 4.5 5.6 6.9 8l-2.4 2.4 1.1 1.1L8 9.1l2.4 2.4 1.1-1.1L9.1 8l2.4-2.4-1.1-1.1z",
  /** triangle with an exclamation mark */
  warning: "M8 1 .6 14.5h14.8zm-.8 5h1.6v4H7.2zm0 5.2h1.6v1.6H7.2z",
  /** ring */
  quiet: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zm0 1.6a4.4 4.4 0 1 1 0 8.8 4.4 4.4 0 0 1 0-8.8z",
};

export function badge(tone: Tone, text: string): HTMLElement {
  return h("span", { class: `badge ${tone}` }, icon(SHAPES[tone]), text);
}
