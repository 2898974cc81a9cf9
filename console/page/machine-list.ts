/** The user's machines: a card for each live one and the newest, a line for each earlier one. */
import type { Connection } from "provision-machine-client";
import { badge } from "./badge.ts";
import { fill, h } from "./dom.ts";
import { dateTime } from "./format-time.ts";
import { MachineCard, type MachineChange } from "./machine-card.ts";
import { isLive, STATUSES } from "./machine-status.ts";
import type { MachineRow } from "./machines.ts";
import { regionName } from "./regions.ts";
import { usualDurationMs } from "./usual-duration.ts";

export interface MachineListOptions {
  functionName: string;
  onDestroy: (machineId: string) => void;
  onChange: (machineId: string, change: MachineChange) => void;
  /** Asks for an address with a token. @throws {ProvisionMachineError} */
  connect: (machineId: string, signal: AbortSignal) => Promise<Connection>;
}

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
  /** What this tab has destroyed: a read that began before does not know it yet. */
  readonly #destroyed = new Set<string>();
  #machines: MachineRow[] = [];
  /** The rows have been read at least once. */
  #known = false;
  readonly #options: MachineListOptions;

  constructor(options: MachineListOptions) {
    this.#options = options;
    this.element = h("div", {}, this.#current, this.#earlierBox);
    this.#earlierBox.hidden = true;
    fill(this.#current, loading());
  }

  /** @param requestedAt when the call under way began; null: none is */
  show(rows: MachineRow[], requestedAt: number | null): void {
    const machines = rows.map((row) =>
      this.#destroyed.has(row.machine_id) ? { ...row, status: "destroyed" as const } : row
    );
    this.#machines = machines;
    const current = machines.filter((machine, index) => isLive(machine) || index === 0);
    for (const [id, card] of this.#cards) {
      if (current.some(({ machine_id }) => machine_id === id)) continue;
      card.close();
      card.element.remove();
      this.#cards.delete(id);
    }
    for (const [index, machine] of current.entries()) this.#place(machine, index, requestedAt);
    if (machines.length === 0) fill(this.#current, nothingYet());
    else this.#current.querySelector(".empty")?.remove();
    this.#known = true;
    this.#showEarlier(machines.filter((machine) => !current.includes(machine)));
  }

  /** As shown: what this tab has destroyed is destroyed. */
  get machines(): readonly MachineRow[] {
    return this.#machines;
  }

  setDestroying(machineId: string, destroying: boolean): void {
    this.#cards.get(machineId)?.setDestroying(destroying);
  }

  setChanging(machineId: string, change: MachineChange | null): void {
    this.#cards.get(machineId)?.setChanging(change);
  }

  /** Opens the question whether to destroy a machine. */
  askToDestroy(machineId: string): void {
    this.#cards.get(machineId)?.askToDestroy();
  }

  /** Shows a machine as destroyed without waiting for the next read. */
  markDestroyed(machineId: string): void {
    this.#destroyed.add(machineId);
    this.show(this.#machines, null);
  }

  /** The failure of this machine is explained elsewhere on the page; null: that of none is. */
  setExplained(machineId: string | null): void {
    this.#explained = machineId;
    for (const [id, { element }] of this.#cards) {
      element.toggleAttribute("data-explained", id === machineId);
    }
  }

  /** Unless it is current, what is shown is stale, or nothing is known yet. */
  setState(state: "current" | "loading" | "unreadable"): void {
    this.element.toggleAttribute("data-stale", this.#known && state !== "current");
    if (!this.#known) fill(this.#current, state === "loading" ? loading() : unknown());
  }

  /** Ends every connection to a machine. */
  close(): void {
    for (const card of this.#cards.values()) card.close();
  }

  #place(machine: MachineRow, index: number, requestedAt: number | null): void {
    const known = this.#cards.get(machine.machine_id);
    if (known) {
      known.update(machine);
      return;
    }
    const created = Date.parse(machine.created_at);
    const card = new MachineCard(machine, {
      functionName: this.#options.functionName,
      onDestroy: () => this.#options.onDestroy(machine.machine_id),
      onChange: (change) => this.#options.onChange(machine.machine_id, change),
      connect: (signal) => this.#options.connect(machine.machine_id, signal),
      requestedAt: machine.status === "provisioning" ? requestedAt ?? created : created,
      usualMs: usualDurationMs(this.#machines),
    });
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
          h("time", { datetime: created_at }, dateTime(created_at)),
        )
      ),
    );
  }
}

function loading(): HTMLElement {
  return h("div", { class: "card empty loading" }, h("p", {}, "Loading your machines …"));
}

function unknown(): HTMLElement {
  return h(
    "div",
    { class: "card empty" },
    h("p", { class: "empty-title" }, "Your machines are not known"),
    h("p", {}, "They could not be read yet. They appear here as soon as they can."),
  );
}

function nothingYet(): HTMLElement {
  return h(
    "div",
    { class: "card empty" },
    h("p", { class: "empty-title" }, "No machine yet"),
    h("p", {}, "Choose a region and press Provision: it appears here and you can watch it start."),
  );
}
