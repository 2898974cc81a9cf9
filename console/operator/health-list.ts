/** The health checks, each as a shape, a name and what was observed. */
import { badge } from "../page/badge.ts";
import { h } from "../page/dom.ts";
import { roughDuration } from "../page/format-time.ts";
import type { Tone } from "../page/tone.ts";
import type { Check, Health } from "./api.ts";
import { checkName } from "./check-names.ts";

export const HEALTH_LOOKS: Record<Health["status"], { tone: Tone; word: string }> = {
  pass: { tone: "good", word: "Fine" },
  warn: { tone: "warning", word: "Warning" },
  fail: { tone: "bad", word: "Broken" },
};
const ORDER: Health["status"][] = ["fail", "warn", "pass"];

/** Failing checks come first. */
export function healthList({ checks }: Health): HTMLElement {
  const all = Object.entries(checks)
    .flatMap(([name, results]) => results.map((check) => ({ name, check })))
    .sort((a, b) => ORDER.indexOf(a.check.status) - ORDER.indexOf(b.check.status));
  if (all.length === 0) return h("p", { class: "muted" }, "Only a service key sees each check.");
  return h(
    "ul",
    { class: "list checks" },
    ...all.map(({ name, check }) => {
      const { tone, word } = HEALTH_LOOKS[check.status];
      return h(
        "li",
        {},
        badge(tone, word),
        h("span", { class: "check-name", title: name }, checkName(name)),
        h("span", { class: check.output ? "muted output" : "muted" }, observed(name, check)),
      );
    }),
  );
}

function observed(name: string, { output, observedValue, observedUnit }: Check): string {
  if (output !== undefined) return output;
  if (observedValue === undefined) return "";
  if (name === "reconcile:lastRun" && typeof observedValue === "number") {
    return `${roughDuration(observedValue * 1_000)} ago`;
  }
  return observedUnit === undefined ? String(observedValue) : `${observedValue} ${observedUnit}`;
}
