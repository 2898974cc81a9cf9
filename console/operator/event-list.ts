/** The newest events. */
import { fill, h } from "../page/dom.ts";
import { eventRows } from "./event-rows.ts";
import type { MachineEvent } from "./rows.ts";

const NEWEST = 12;

export class EventList {
  readonly element = h("div", {});
  readonly #onFind: (value: string) => void;
  #shown = "";

  /** @param onFind search for a machine, a user or a request */
  constructor(onFind: (value: string) => void) {
    this.#onFind = onFind;
  }

  /** @param events newest first */
  show(events: MachineEvent[]): void {
    const newest = events.slice(0, NEWEST);
    // Unchanged rows keep the focus, and what is selected in them.
    const seen = JSON.stringify(newest);
    if (seen === this.#shown) return;
    this.#shown = seen;
    fill(
      this.element,
      newest.length > 0
        ? eventRows(newest, this.#onFind)
        : h("p", { class: "muted" }, "Nothing has happened yet."),
    );
  }
}
