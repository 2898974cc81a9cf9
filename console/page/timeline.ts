/** The steps to a running machine as a picture in words and shapes. */
import { h, icon } from "./dom.ts";
import { formatDuration } from "./format-time.ts";
import type { Step, StepState } from "./steps.ts";

const IN_WORDS: Record<StepState, string> = {
  done: "done",
  current: "in progress",
  failed: "failed here",
  todo: "not yet",
};
const ICONS: Record<StepState, string> = {
  done: "M6.5 11.6 2.9 8l-1.1 1.1 4.7 4.7 8-8-1.1-1.1z",
  current: "M8 4.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7z",
  failed:
    "m8 6.9 3.4-3.4 1.1 1.1L9.1 8l3.4 3.4-1.1 1.1L8 9.1l-3.4 3.4-1.1-1.1L6.9 8 3.5 4.6l1.1-1.1z",
  todo: "",
};

/** The steps as an ordered list. */
export function timeline(steps: Step[]): HTMLElement {
  return h(
    "ol",
    { class: "timeline", "aria-label": "Progress" },
    ...steps.map(({ name, state, durationMs }) =>
      h(
        "li",
        { class: `step ${state}`, "aria-current": state === "current" ? "step" : null },
        h("span", { class: "dot" }, icon(ICONS[state])),
        h(
          "span",
          { class: "step-text" },
          h("span", { class: "step-name" }, name),
          h("span", { class: "visually-hidden" }, `: ${IN_WORDS[state]}`),
          durationMs ? h("span", { class: "step-time" }, formatDuration(durationMs)) : null,
        ),
      )
    ),
  );
}
