/** Finds machines and events by machine, user, request or error code. */
import { badge } from "../page/badge.ts";
import { fill, h, setText } from "../page/dom.ts";
import { clockTime } from "../page/format-time.ts";
import type { Found, OperatorApi } from "./api.ts";
import { eventRows } from "./event-rows.ts";
import { MachineRows, type MachineRowsOptions } from "./machine-rows.ts";

/** So long nothing is typed before it is searched for. */
const SETTLE_MS = 300;

export class Finder {
  readonly element: HTMLElement;
  readonly #api: Pick<OperatorApi, "find">;
  readonly #signal: AbortSignal;
  readonly #input: HTMLInputElement;
  readonly #state = h("p", { role: "status", class: "muted" });
  readonly #machines: MachineRows;
  readonly #events = h("div", {});
  readonly #found: HTMLElement;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #turns = 0;
  #wanted = "";
  /** What is shown, and when it was read. */
  #known: { text: string; found: Found; readAt: number } | undefined;

  constructor(api: Pick<OperatorApi, "find">, signal: AbortSignal, options: MachineRowsOptions) {
    this.#api = api;
    this.#signal = signal;
    this.#machines = new MachineRows(options);
    this.#input = h("input", {
      id: "find",
      type: "search",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: "Any id, or an error code",
      oninput: () => this.#search(SETTLE_MS),
    });
    this.#found = h("div", { class: "found" }, this.#state, this.#machines.element, this.#events);
    this.#found.hidden = true;
    const form = h("form", { class: "field search", role: "search" });
    form.append(h("label", { for: "find" }, "Find"), this.#input);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#search(0);
    });
    this.element = h(
      "section",
      { class: "card finder" },
      h("h2", { class: "visually-hidden" }, "Search"),
      form,
      this.#found,
    );
  }

  /** Searches for it in place of what was searched for. */
  find(value: string): void {
    this.#input.value = value;
    this.#input.focus();
    this.element.scrollIntoView({ block: "nearest" });
    this.#search(0);
  }

  /** Searches again for what was searched for last. */
  async refresh(): Promise<void> {
    if (this.#wanted !== "") await this.#read(this.#wanted);
  }

  /** Shows what is known: which machines are being destroyed may have changed. */
  show(): void {
    if (this.#known) this.#show(this.#known.found);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #search(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#turns++;
    const text = this.#input.value.trim();
    this.#found.hidden = text === "";
    if (text !== this.#known?.text) {
      this.#known = undefined;
      this.#show({ machines: [], events: [] });
      setText(this.#state, "Searching …");
    }
    this.#wanted = "";
    if (text === "") return;
    this.#timer = setTimeout(() => {
      this.#wanted = text;
      void this.#read(text);
    }, delayMs);
  }

  async #read(text: string): Promise<void> {
    const turn = ++this.#turns;
    try {
      const found = await this.#api.find(text, this.#signal);
      if (turn !== this.#turns) return;
      this.#known = { text, found, readAt: Date.now() };
      this.element.toggleAttribute("data-stale", false);
      this.#show(found);
      setText(this.#state, summaryOf(text, found));
    } catch (error) {
      if (this.#signal.aborted || turn !== this.#turns) return;
      const why = error instanceof Error ? error.message : String(error);
      const readAt = this.#known?.readAt;
      this.element.toggleAttribute("data-stale", readAt !== undefined);
      const known = readAt === undefined ? "Unknown" : `As of ${clockTime(readAt)}`;
      fill(this.#state, badge("warning", `${known}: it cannot be searched for now. ${why}`));
    }
  }

  #show({ machines, events }: Found): void {
    const had = this.#found.contains(document.activeElement) ? document.activeElement : null;
    this.#machines.show(machines);
    // What had the focus may be gone, or a button without use.
    if (had && (!had.isConnected || had.closest("[hidden]"))) this.#input.focus();
    const seen = JSON.stringify(events);
    if (seen === this.#events.dataset["seen"]) return;
    this.#events.dataset["seen"] = seen;
    fill(
      this.#events,
      events.length > 0 && h("h3", {}, "Events"),
      events.length > 0 && eventRows(events, (value) => this.find(value)),
    );
  }
}

function summaryOf(text: string, { machines, events }: Found): string {
  if (machines.length + events.length === 0) {
    return `No machine, user, request or error code is ${text}, or begins with it.`;
  }
  return `${counted(machines.length, "machine")} and ${counted(events.length, "event")}.`;
}

/** A search returns 50 of each at most. */
function counted(count: number, what: string): string {
  return count === 50 ? `The newest 50 ${what}s` : `${count} ${what}${count === 1 ? "" : "s"}`;
}
