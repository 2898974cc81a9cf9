/** A card whose content is loading, current, stale or unknown, and says which. */
import { badge } from "../page/badge.ts";
import { fill, h } from "../page/dom.ts";
import { clockTime } from "../page/format-time.ts";
import type { Reading } from "./reading.ts";

/** A line for a reading that is not current; null for one that is. */
export function noteOf(reading: Reading<unknown>): HTMLElement | null {
  switch (reading.state) {
    case "current":
      return null;
    case "loading":
      return h("p", { class: "note muted" }, "Loading …");
    case "unknown":
      return h("p", { class: "note" }, badge("warning", "Unknown: it cannot be read."));
    case "stale": {
      const text = `As of ${clockTime(reading.readAt)}: it cannot be read now.`;
      return h("p", { class: "note" }, badge("warning", text));
    }
  }
}

export class Section {
  readonly element: HTMLElement;
  readonly #note = h("div", {});
  readonly #heading: HTMLElement;

  constructor(title: string, content: HTMLElement, ...actions: HTMLElement[]) {
    this.#heading = h("h2", { tabindex: -1 }, title);
    this.element = h(
      "section",
      { class: "card" },
      h("div", { class: "section-head" }, this.#heading, ...actions),
      this.#note,
      content,
    );
  }

  /** Where the focus goes when what had it is gone. */
  focus(): void {
    this.#heading.focus();
  }

  setState(reading: Reading<unknown>): void {
    this.element.dataset["state"] = reading.state;
    this.element.toggleAttribute("data-stale", reading.state === "stale");
    fill(this.#note, noteOf(reading));
  }
}
