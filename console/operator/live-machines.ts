/** The machines that are live now, with their owners. */
import { h, setText } from "../page/dom.ts";
import { MachineRows, type MachineRowsOptions } from "./machine-rows.ts";
import { lastValue, type Reading } from "./reading.ts";
import type { OperatorMachine } from "./rows.ts";
import { Section } from "./section.ts";

const FIRST = 5;
/** PostgREST's default `max_rows` on Supabase, beyond which it cuts off. */
const MOST = 1_000;

export class LiveMachines {
  readonly element: HTMLElement;
  readonly #section: Section;
  readonly #summary = h("p", { class: "muted summary" });
  readonly #frame = h("div", { class: "frame", "data-empty": "Loading …" });
  readonly #rows: MachineRows;
  readonly #stateOf: MachineRowsOptions["stateOf"];
  readonly #more: HTMLButtonElement;
  #shown = FIRST;

  /** @param onMore called when more are to be shown than were read */
  constructor(options: MachineRowsOptions, onMore: () => void) {
    this.#rows = new MachineRows(options);
    this.#stateOf = options.stateOf;
    this.#more = h("button", {
      type: "button",
      onclick: () => {
        this.#shown = Math.min(this.#shown * 5, MOST);
        onMore();
      },
    }, "Show more");
    this.#more.hidden = true;
    this.#frame.append(this.#rows.element);
    const content = h("div", {}, this.#summary, this.#frame);
    this.#section = new Section("Live machines", content, this.#more);
    this.element = this.#section.element;
  }

  /** How many to read: one more than are shown tells whether there are more. */
  get limit(): number {
    return Math.min(this.#shown + 1, MOST);
  }

  show(reading: Reading<OperatorMachine[]>): void {
    // While it is loading, the frame says so.
    if (reading.state !== "loading") this.#section.setState(reading);
    const machines = lastValue(reading);
    if (machines === undefined) {
      // Without a value the frame says why, and the room for it stays.
      this.#frame.dataset["empty"] = reading.state === "loading" ? "Loading …" : "Unknown";
      return;
    }
    this.#frame.dataset["empty"] = "None";
    const hadFocus = this.element.contains(document.activeElement);
    // What is destroyed is live no more, also before the next read.
    const live = machines.filter(({ machine_id }) => this.#stateOf(machine_id) !== "destroyed");
    const shown = live.slice(0, this.#shown);
    this.#rows.show(shown);
    this.#more.hidden = live.length <= this.#shown;
    const owners = new Set(shown.map(({ user_id }) => user_id)).size;
    const users = `${owners} ${owners === 1 ? "user" : "users"}`;
    setText(
      this.#summary,
      live.length === 0
        ? "There is no live machine."
        : this.#more.hidden
        ? `${shown.length} of ${users}, the newest first.`
        : `The newest ${shown.length}, of ${users}.`,
    );
    if (hadFocus && document.activeElement === document.body) this.#section.focus();
  }
}
