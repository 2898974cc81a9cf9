/** Machines with their owners, one line each. A line that stays is never made again or moved. */
import { badge } from "../page/badge.ts";
import { sizeOf } from "../page/cpu-sizes.ts";
import { fill, h, setAttribute, setText } from "../page/dom.ts";
import { dateTime } from "../page/format-time.ts";
import { isLive, STATUSES, whyStopped } from "../page/machine-status.ts";
import type { Tone } from "../page/tone.ts";
import type { Links } from "./addresses.ts";
import { findButton, outside } from "./links.ts";
import type { OperatorMachine } from "./rows.ts";

export interface MachineRowsOptions {
  links: Links;
  onFind: (value: string) => void;
  onDestroy: (machine: OperatorMachine) => void;
  /** What this tab does to it, which its row may not say yet. */
  stateOf: (machineId: string) => "destroying" | "destroyed" | undefined;
}

export class MachineRows {
  readonly element = h("ol", { class: "list machines" });
  readonly #options: MachineRowsOptions;
  readonly #rows = new Map<string, MachineLine>();

  constructor(options: MachineRowsOptions) {
    this.#options = options;
    this.element.hidden = true;
  }

  /** @param rows as they are to stand below each other */
  show(rows: OperatorMachine[]): void {
    const machines = rows.map((row) =>
      this.#options.stateOf(row.machine_id) === "destroyed"
        ? { ...row, status: "destroyed" as const }
        : row
    );
    const wanted = new Set(machines.map(({ id }) => id));
    for (const [id, { element }] of this.#rows) {
      if (wanted.has(id)) continue;
      element.remove();
      this.#rows.delete(id);
    }
    for (const [index, machine] of machines.entries()) {
      const row = this.#rows.get(machine.id) ?? new MachineLine(machine, this.#options);
      this.#rows.set(machine.id, row);
      row.update(machine);
      // What moves loses the focus.
      const there = this.element.children[index];
      if (there !== row.element) this.element.insertBefore(row.element, there ?? null);
    }
    this.element.hidden = machines.length === 0;
  }
}

class MachineLine {
  readonly element: HTMLElement;
  readonly #options: MachineRowsOptions;
  readonly #status = h("span", { class: "cell" });
  readonly #facts = h("span", { class: "muted" });
  readonly #fly = h("span", {});
  readonly #owner = h("span", { class: "owner" });
  readonly #destroy: HTMLButtonElement;
  #machine: OperatorMachine;
  #shown = "";

  constructor(machine: OperatorMachine, options: MachineRowsOptions) {
    this.#machine = machine;
    this.#options = options;
    const { machine_id, created_at } = machine;
    this.#destroy = h("button", {
      type: "button",
      class: "danger small",
      onclick: () => {
        // Not `disabled`: a disabled button loses the focus.
        if (!this.#isLeaving()) options.onDestroy(this.#machine);
      },
    });
    this.element = h(
      "li",
      {},
      this.#status,
      h("span", {}, findButton(options.onFind, "machine", machine_id), this.#fly),
      this.#facts,
      this.#owner,
      h("time", { datetime: created_at, title: "requested" }, dateTime(created_at)),
      h("span", { class: "actions" }, this.#destroy),
    );
  }

  update(machine: OperatorMachine): void {
    this.#machine = machine;
    const leaving = this.#isLeaving();
    const seen = JSON.stringify([machine, leaving]);
    if (seen === this.#shown) return;
    this.#shown = seen;
    const { machine_id, status, region, cpu_priority, error_code, stop_reason } = machine;
    fill(this.#status, leaving ? badge("busy", "destroying") : badge(toneOf(machine), status));
    const facts = [region, sizeOf(cpu_priority), error_code, stop_reason].filter(Boolean);
    setText(this.#facts, facts.join(" · "));
    const { links } = this.#options;
    const address = links.machine(machine.fly_app_name, machine.fly_machine_id);
    fill(this.#fly, outside(isLive(machine) ? address : null, "Fly.io", machine_id));
    this.#showOwner();
    setText(this.#destroy, leaving ? "Destroying …" : "Destroy");
    setAttribute(this.#destroy, "aria-label", `${this.#destroy.textContent}: ${machine_id}`);
    setAttribute(this.#destroy, "aria-disabled", leaving ? "true" : null);
    this.#destroy.hidden = !isLive(machine);
  }

  #isLeaving(): boolean {
    const { machine_id, destroy_requested_at } = this.#machine;
    return isLive(this.#machine) &&
      (destroy_requested_at !== null || this.#options.stateOf(machine_id) === "destroying");
  }

  #showOwner(): void {
    const { user_id } = this.#machine;
    if (user_id === null) return fill(this.#owner, "deleted user");
    const { onFind, links } = this.#options;
    fill(
      this.#owner,
      findButton(onFind, "user", user_id, `user ${user_id.slice(-8)}`),
      outside(links.user(user_id), "Supabase", user_id),
    );
  }
}

function toneOf({ status, stop_reason }: OperatorMachine): Tone {
  return status === "stopped" && whyStopped(stop_reason).failed ? "bad" : STATUSES[status].tone;
}
