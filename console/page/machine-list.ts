/** The user's machines: a card for each live one and the newest, a line for each earlier one. */
import { badge } from "./badge.ts";
import { fill, h } from "./dom.ts";
import { MachineCard } from "./machine-card.ts";
import { isLive, STATUSES } from "./machine-status.ts";
import type { MachineRow } from "./machines.ts";
import { regionName } from "./regions.ts";

export class MachineList {
  readonly element: HTMLElement;
  readonly #current = h("div", { class: "cards" });
  readonly #earlier = h("ul", { class: "earlier-list" });
  readonly #earlierBox = h(
    "details",
    { class: "earlier" },
    h("summary", {}, "Earlier machines"),
    this.#earlier,
  );
  readonly #cards = new Map<string, MachineCard>();
  #explained: string | null = null;
  readonly #onDestroy: (machineId: string) => void;

  constructor(onDestroy: (machineId: string) => void) {
    this.#onDestroy = onDestroy;
    this.element = h("div", {}, this.#current, this.#earlierBox);
    this.#earlierBox.hidden = true;
  }

  show(machines: MachineRow[]): void {
    const current = machines.filter((machine, index) => isLive(machine) || index === 0);
    for (const [id, card] of this.#cards) {
      if (current.some(({ machine_id }) => machine_id === id)) continue;
      card.close();
      card.element.remove();
      this.#cards.delete(id);
    }
    for (const [index, machine] of current.entries()) this.#place(machine, index);
    if (machines.length === 0) fill(this.#current, nothingYet());
    else this.#current.querySelector(".empty")?.remove();
    this.#showEarlier(machines.filter((machine) => !current.includes(machine)));
  }

  setDestroying(machineId: string, destroying: boolean): void {
    this.#cards.get(machineId)?.setDestroying(destroying);
  }

  /** The failure of this machine is explained elsewhere on the page; null: that of none is. */
  setExplained(machineId: string | null): void {
    this.#explained = machineId;
    for (const [id, { element }] of this.#cards) {
      element.toggleAttribute("data-explained", id === machineId);
    }
  }

  /** Ends every connection to a machine. */
  close(): void {
    for (const card of this.#cards.values()) card.close();
  }

  #place(machine: MachineRow, index: number): void {
    const known = this.#cards.get(machine.machine_id);
    if (known) {
      known.update(machine);
      return;
    }
    const card = new MachineCard(machine, () => this.#onDestroy(machine.machine_id));
    card.element.toggleAttribute("data-explained", machine.machine_id === this.#explained);
    this.#cards.set(machine.machine_id, card);
    this.#current.insertBefore(card.element, this.#current.children[index] ?? null);
  }

  #showEarlier(machines: MachineRow[]): void {
    this.#earlierBox.hidden = machines.length === 0;
    fill(
      this.#earlier,
      ...machines.map(({ machine_id, status, region, error_code, created_at }) =>
        h(
          "li",
          {},
          badge(STATUSES[status].tone, status),
          h("code", {}, machine_id),
          h(
            "span",
            { class: "muted" },
            [regionName(region), error_code].filter(Boolean).join(" · "),
          ),
          h("time", { datetime: created_at }, new Date(created_at).toLocaleString()),
        )
      ),
    );
  }
}

function nothingYet(): HTMLElement {
  return h(
    "div",
    { class: "card empty" },
    h("p", { class: "empty-title" }, "No machine yet"),
    h("p", {}, "Choose a region and press Provision: it appears here and you can watch it start."),
  );
}
