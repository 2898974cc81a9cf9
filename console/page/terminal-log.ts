/** The messages of a conversation with a machine, newest last. */
import { h } from "./dom.ts";
import { clockTime } from "./format-time.ts";
import { readable } from "./readable.ts";

/** A machine may send all night; the tab's memory must not fill up. */
const MAX_LINES = 500;

export type LineKind = "sent" | "received" | "note";

const SPEAKERS: Record<LineKind, { name: string; mark: string }> = {
  sent: { name: "You", mark: "→" },
  received: { name: "Machine", mark: "←" },
  note: { name: "Connection", mark: "·" },
};

export class TerminalLog {
  readonly element: HTMLElement;

  constructor(machineId: string) {
    this.element = h("div", {
      class: "terminal-log",
      role: "log",
      "aria-label": `Messages with ${machineId}`,
      tabindex: 0,
    });
  }

  /** Adds a line and scrolls to it. */
  add(kind: LineKind, text: string): void {
    const { name, mark } = SPEAKERS[kind];
    this.element.append(
      h(
        "p",
        { class: kind },
        h("time", {}, clockTime(Date.now())),
        h("span", { class: "mark", "aria-hidden": "true" }, mark),
        h("span", { class: "visually-hidden" }, `${name}: `),
        h("span", { class: "text" }, readable(text)),
      ),
    );
    while (this.element.childElementCount > MAX_LINES) this.element.firstElementChild?.remove();
    this.element.scrollTop = this.element.scrollHeight;
  }
}
