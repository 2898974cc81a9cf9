/** One machine: its status, its way there, what went wrong, its WebSocket, and the end of it. */
import { copyButton, fill, h, setText } from "./dom.ts";
import { explain } from "./error-sentences.ts";
import type { MachineRow } from "./machines.ts";
import { regionName } from "./regions.ts";
import { badge, toneOfStatus } from "./status.ts";
import { type Terminal, terminal } from "./terminal.ts";
import { stepsOf, timeline } from "./timeline.ts";

export interface MachineCard {
  element: HTMLElement;
  update(machine: MachineRow): void;
  /** While a DELETE is under way. */
  setDestroying(destroying: boolean): void;
  close(): void;
}

export function machineCard(first: MachineRow, onDestroy: () => void): MachineCard {
  const titleId = `title-${first.machine_id}`;
  const status = h("div", { role: "status", class: "status" });
  const facts = h("p", { class: "machine-facts" });
  const progress = h("div", {});
  const failure = h("div", {});
  const terminalSlot = h("div", {});
  const destroy = h("button", {
    type: "button",
    class: "danger",
    onclick: () => confirm.showModal(),
  });
  const confirm = confirmation(first.machine_id, onDestroy);
  const element = h(
    "article",
    { class: "card machine", "aria-labelledby": titleId },
    h(
      "header",
      {},
      h("h2", { id: titleId }, first.machine_id),
      copyButton(first.machine_id, "machine id"),
      status,
    ),
    facts,
    progress,
    failure,
    terminalSlot,
    h("footer", {}, destroy),
    confirm,
  );
  let shown = "";
  let open: Terminal | undefined;
  let machine = first;
  let destroying = false;

  const showDestroy = () => {
    const leaving = destroying || (isThere(machine) && machine.destroy_requested_at !== null);
    setText(destroy, leaving ? "Destroying …" : "Destroy");
    destroy.disabled = leaving;
    destroy.hidden = !isThere(machine);
  };
  const update = (next: MachineRow) => {
    machine = next;
    showDestroy();
    // Nothing new must not disturb a reader's place, or be announced again.
    const seen = JSON.stringify(next);
    if (seen === shown) return;
    shown = seen;
    element.dataset["status"] = next.status;
    fill(status, badge(toneOfStatus(next.status), next.status));
    setText(facts, `${regionName(next.region)} · CPU priority ${next.cpu_priority}`);
    fill(progress, timeline(stepsOf(next)));
    fill(failure, failureOf(next));
    const address = next.status === "running" ? next.websocket_url : null;
    if (address !== null && open === undefined) {
      open = terminal(next.machine_id, address);
      fill(terminalSlot, open.element);
    }
    if (address === null) open?.disconnect();
  };
  update(first);
  return {
    element,
    update,
    setDestroying(value) {
      destroying = value;
      showDestroy();
    },
    close: () => open?.disconnect(),
  };
}

function isThere({ status }: MachineRow): boolean {
  return status === "provisioning" || status === "running";
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

function confirmation(machineId: string, onDestroy: () => void): HTMLDialogElement {
  const titleId = `confirm-${machineId}`;
  return h(
    "dialog",
    { "aria-labelledby": titleId },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: titleId }, `Destroy ${machineId}?`),
      h("p", {}, "What is on it is lost. This cannot be undone."),
      h(
        "div",
        { class: "row" },
        // First, so that it has the focus when the question opens.
        h("button", { value: "keep" }, "Keep it"),
        h(
          "button",
          { value: "destroy", class: "danger", onclick: () => onDestroy() },
          "Destroy it",
        ),
      ),
    ),
  );
}
