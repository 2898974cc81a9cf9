/** One machine: its status, its progress, what went wrong, its WebSocket, and its Destroy button. */
import { badge } from "./badge.ts";
import { destroyDialog } from "./destroy-dialog.ts";
import { copyButton, fill, h, setText } from "./dom.ts";
import { explain } from "./error-sentences.ts";
import { isLive, STATUSES } from "./machine-status.ts";
import type { MachineRow } from "./machines.ts";
import { regionName } from "./regions.ts";
import { Terminal } from "./terminal.ts";
import { stepsOf, timeline } from "./timeline.ts";

export class MachineCard {
  readonly element: HTMLElement;
  readonly #status = h("div", { role: "status", class: "status" });
  readonly #facts = h("p", { class: "machine-facts" });
  readonly #progress = h("div", {});
  readonly #failure = h("div", {});
  readonly #terminalSlot = h("div", {});
  readonly #destroy: HTMLButtonElement;
  #terminal: Terminal | undefined;
  #machine: MachineRow;
  #shown = "";
  #destroying = false;

  constructor(machine: MachineRow, onDestroy: () => void) {
    this.#machine = machine;
    const { machine_id: id } = machine;
    const dialog = destroyDialog(id, onDestroy);
    this.#destroy = h("button", {
      type: "button",
      class: "danger",
      onclick: () => dialog.showModal(),
    });
    this.element = h(
      "article",
      { class: "card machine", "aria-labelledby": `title-${id}` },
      h(
        "header",
        {},
        h("h2", { id: `title-${id}` }, id),
        copyButton(id, "machine id"),
        this.#status,
      ),
      this.#facts,
      this.#progress,
      this.#failure,
      this.#terminalSlot,
      h("footer", {}, this.#destroy),
      dialog,
    );
    this.update(machine);
  }

  update(machine: MachineRow): void {
    this.#machine = machine;
    this.#showDestroy();
    // A row without news must not move the reader's place, or be announced again.
    const seen = JSON.stringify(machine);
    if (seen === this.#shown) return;
    this.#shown = seen;
    const { status, region, cpu_priority } = machine;
    this.element.dataset["status"] = status;
    fill(this.#status, badge(STATUSES[status].tone, status));
    setText(this.#facts, `${regionName(region)} · CPU priority ${cpu_priority}`);
    fill(this.#progress, timeline(stepsOf(machine)));
    fill(this.#failure, failureOf(machine));
    this.#showTerminal();
  }

  /** While a DELETE is under way. */
  setDestroying(destroying: boolean): void {
    this.#destroying = destroying;
    this.#showDestroy();
  }

  /** Ends the connection to the machine. */
  close(): void {
    this.#terminal?.disconnect();
  }

  #showDestroy(): void {
    const live = isLive(this.#machine);
    const leaving = this.#destroying || (live && this.#machine.destroy_requested_at !== null);
    setText(this.#destroy, leaving ? "Destroying …" : "Destroy");
    this.#destroy.disabled = leaving;
    this.#destroy.hidden = !live;
  }

  #showTerminal(): void {
    const { machine_id, status, websocket_url } = this.#machine;
    const address = STATUSES[status].connectable ? websocket_url : null;
    if (address === null) {
      this.#terminal?.disconnect();
    } else if (this.#terminal === undefined) {
      this.#terminal = new Terminal(machine_id, address);
      fill(this.#terminalSlot, this.#terminal.element);
    }
  }
}

function failureOf(machine: MachineRow): HTMLElement | null {
  if (machine.status !== "error") return null;
  const { sentence, next } = explain(machine.error_code ?? "internal_error");
  return h(
    "div",
    { class: "panel error" },
    h("p", { class: "error-title" }, badge("bad", sentence)),
    h("p", {}, next),
    h(
      "dl",
      { class: "facts" },
      h("dt", {}, "Code"),
      h("dd", {}, h("code", {}, machine.error_code ?? "unknown")),
      h("dt", {}, "Details"),
      h("dd", {}, machine.error_message ?? ""),
      h("dt", {}, "Request id"),
      h("dd", {}, h("code", {}, machine.request_id), copyButton(machine.request_id, "request id")),
    ),
  );
}
