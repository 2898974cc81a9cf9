/** One machine: its status, its progress, what went wrong, its WebSocket, and its actions. */
import type { Connection } from "provision-machine-client";
import { badge } from "./badge.ts";
import { connectSnippet } from "./connect-snippet.ts";
import { sizeOf } from "./cpu-sizes.ts";
import { destroyDialog } from "./destroy-dialog.ts";
import { copyButton, fill, h, setAttribute, setText } from "./dom.ts";
import { Elapsed } from "./elapsed.ts";
import { explain } from "./error-sentences.ts";
import { dateTime } from "./format-time.ts";
import { type MachineAction, STATUSES, type StatusMeaning, whyStopped } from "./machine-status.ts";
import type { MachineRow } from "./machines.ts";
import { regionName } from "./regions.ts";
import { stepsOf } from "./steps.ts";
import { Terminal } from "./terminal.ts";
import { timeline } from "./timeline.ts";

/** What is called besides DELETE. */
export type MachineChange = Exclude<MachineAction, "destroy">;

export interface MachineCardOptions {
  onDestroy: () => void;
  onChange: (change: MachineChange) => void;
  /** Asks for an address with a token. @throws {ProvisionMachineError} */
  connect: (signal: AbortSignal) => Promise<Connection>;
  functionName: string;
  /** When it was requested, in milliseconds since the epoch. */
  requestedAt: number;
  /** How long provisioning usually takes; null: not known. */
  usualMs: number | null;
}

export class MachineCard {
  readonly element: HTMLElement;
  readonly #options: MachineCardOptions;
  readonly #status = h("div", { role: "status", class: "status" });
  readonly #facts = h("p", { class: "machine-facts" });
  readonly #progress = h("div", {});
  readonly #failure = h("div", {});
  readonly #terminalSlot = h("div", {});
  readonly #snippetSlot = h("div", {});
  readonly #buttons: Record<MachineAction, HTMLButtonElement>;
  readonly #dialog: HTMLDialogElement;
  #terminal: Terminal | undefined;
  #elapsed: Elapsed | undefined;
  #machine: MachineRow;
  #shown = "";
  /** A DELETE of this tab is under way. */
  #destroying = false;
  /** A change of this tab is under way. */
  #changing: MachineChange | null = null;

  constructor(machine: MachineRow, options: MachineCardOptions) {
    this.#machine = machine;
    this.#options = options;
    const { machine_id: id } = machine;
    this.#dialog = destroyDialog(id, options.onDestroy);
    const change = (what: MachineChange) =>
      h("button", {
        type: "button",
        onclick: () => {
          // Not `disabled`, as for the destruction.
          if (this.#changing === null && !this.#isLeaving()) options.onChange(what);
        },
      });
    this.#buttons = {
      start: change("start"),
      suspend: change("suspend"),
      stop: change("stop"),
      destroy: h("button", {
        type: "button",
        class: "danger",
        onclick: () => this.askToDestroy(),
      }),
    };
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
      this.#snippetSlot,
      h("footer", {}, ...Object.values(this.#buttons)),
      this.#dialog,
    );
    this.update(machine);
  }

  /** Shows the row, unless nothing has changed. */
  update(machine: MachineRow): void {
    this.#machine = machine;
    const leaving = this.#isLeaving();
    // A row without news must not move the reader's place, or be announced again.
    const seen = JSON.stringify([machine, leaving, this.#changing]);
    if (seen === this.#shown) return;
    this.#shown = seen;
    const { status, region, cpu_priority, created_at } = machine;
    const meaning = STATUSES[status];
    this.element.dataset["status"] = status;
    fill(this.#status, leaving ? badge("busy", "destroying") : badge(meaning.tone, status));
    const facts = [regionName(region), sizeOf(cpu_priority), `requested ${dateTime(created_at)}`];
    setText(this.#facts, facts.join(" · "));
    this.#showProgress(meaning, leaving);
    fill(this.#failure, failureOf(machine) ?? stopOf(machine));
    this.#showTerminal(meaning, leaving);
    this.#showButtons(meaning, leaving);
  }

  /** While a DELETE is under way. */
  setDestroying(destroying: boolean): void {
    this.#destroying = destroying;
    this.update(this.#machine);
  }

  /** While a start, stop or suspension is under way; null: none is. */
  setChanging(change: MachineChange | null): void {
    this.#changing = change;
    this.update(this.#machine);
  }

  /** Opens the question whether to destroy it. */
  askToDestroy(): void {
    // Not `disabled`: a disabled button loses the focus, and a keyboard user their place.
    if (!this.#isLeaving() && STATUSES[this.#machine.status].live) this.#dialog.showModal();
  }

  /** Ends its timers and the connection to the machine. */
  close(): void {
    this.#terminal?.disconnect();
    this.#elapsed?.stop();
  }

  #isLeaving(): boolean {
    const { status, destroy_requested_at } = this.#machine;
    return STATUSES[status].live && (this.#destroying || destroy_requested_at !== null);
  }

  #showProgress({ note, openStep }: StatusMeaning, leaving: boolean): void {
    this.#elapsed?.stop();
    this.#elapsed = undefined;
    if (leaving) return fill(this.#progress);
    if (openStep === null) {
      return fill(this.#progress, note && h("p", { class: "muted" }, note));
    }
    const steps = stepsOf(this.#machine);
    if (steps.some(({ state }) => state === "current")) {
      this.#elapsed = new Elapsed(this.#options.requestedAt, this.#options.usualMs);
    }
    fill(this.#progress, timeline(steps), this.#elapsed?.element);
  }

  #showTerminal({ connectable }: StatusMeaning, leaving: boolean): void {
    const { machine_id, websocket_url, stop_reason } = this.#machine;
    // A connection wakes what went to sleep because no one was connected.
    const reachable = connectable || stop_reason === "idle";
    const address = reachable && !leaving ? websocket_url : null;
    if (address === null) {
      this.#terminal?.disconnect();
      this.#terminal = undefined;
      fill(this.#terminalSlot);
      fill(this.#snippetSlot);
    } else if (this.#terminal === undefined) {
      this.#terminal = new Terminal(machine_id, address, this.#options.connect);
      fill(this.#terminalSlot, this.#terminal.element);
      fill(this.#snippetSlot, connectSnippet(this.#options.functionName, machine_id));
    }
  }

  #showButtons({ actions }: StatusMeaning, leaving: boolean): void {
    const { destroy } = this.#buttons;
    setText(destroy, leaving ? "Destroying …" : "Destroy");
    setAttribute(destroy, "aria-disabled", leaving ? "true" : null);
    for (const what of ["start", "suspend", "stop"] as const) {
      const button = this.#buttons[what];
      setText(button, this.#changing === what ? CHANGES[what].underWay : CHANGES[what].name);
      setAttribute(button, "aria-disabled", leaving || this.#changing !== null ? "true" : null);
    }
    for (const [action, button] of Object.entries(this.#buttons)) {
      button.hidden = !actions.some((allowed) => allowed === action);
    }
  }
}

const CHANGES: Record<MachineChange, { name: string; underWay: string }> = {
  start: { name: "Start", underWay: "Starting …" },
  suspend: { name: "Suspend", underWay: "Suspending …" },
  stop: { name: "Stop", underWay: "Stopping …" },
};

function stopOf({ status, stop_reason }: MachineRow): HTMLElement | null {
  if (status !== "stopped") return null;
  const { sentence, failed } = whyStopped(stop_reason);
  return failed
    ? h("div", { class: "panel error" }, h("p", { class: "error-title" }, badge("bad", sentence)))
    : h("p", { class: "muted" }, sentence);
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
