/** Destroys a machine of any user, after a question, and says how it went. */
import { badge } from "../page/badge.ts";
import { destroyDialog } from "../page/destroy-dialog.ts";
import { fill, h } from "../page/dom.ts";
import { clockTime } from "../page/format-time.ts";
import type { OperatorApi } from "./api.ts";
import { OperatorError } from "./operator-error.ts";
import type { OperatorMachine } from "./rows.ts";

export class Destroyer {
  /** How the last one went. */
  readonly element = h("div", { role: "status" });
  readonly #api: Pick<OperatorApi, "destroy">;
  readonly #signal: AbortSignal;
  readonly #onChange: () => void;
  /** A read that began before a machine was gone does not know it yet. */
  readonly #machines = new Map<string, "destroying" | "destroyed">();

  /** @param onChange called when a DELETE begins and when it has ended */
  constructor(api: Pick<OperatorApi, "destroy">, signal: AbortSignal, onChange: () => void) {
    this.#api = api;
    this.#signal = signal;
    this.#onChange = onChange;
  }

  /** What this tab does, or has done, to a machine. */
  stateOf(machineId: string): "destroying" | "destroyed" | undefined {
    return this.#machines.get(machineId);
  }

  ask({ machine_id, user_id }: OperatorMachine): void {
    const whose = user_id === null ? "Its user is deleted." : `It belongs to user ${user_id}.`;
    const dialog = destroyDialog(machine_id, () => void this.#destroy(machine_id), whose);
    dialog.addEventListener("close", () => dialog.remove());
    this.element.after(dialog);
    dialog.showModal();
  }

  async #destroy(machineId: string): Promise<void> {
    this.#machines.set(machineId, "destroying");
    this.#onChange();
    try {
      await this.#api.destroy(machineId, this.#signal);
      this.#machines.set(machineId, "destroyed");
      const text = `Machine destroyed at ${clockTime(Date.now())}: ${machineId}`;
      fill(this.element, h("div", { class: "notice good" }, badge("good", text)));
    } catch (error) {
      if (this.#signal.aborted) return;
      this.#machines.delete(machineId);
      fill(this.element, failure(machineId, error));
    }
    this.#onChange();
  }
}

function failure(machineId: string, error: unknown): HTMLElement {
  const requestId = error instanceof OperatorError ? error.requestId : null;
  const title = `${machineId} was not destroyed, as far as is known at ${clockTime(Date.now())}.`;
  return h(
    "div",
    { class: "panel error" },
    h("p", { class: "error-title" }, badge("bad", title)),
    h("p", {}, error instanceof Error ? error.message : String(error)),
    requestId !== null && h("p", { class: "muted" }, "Request id ", h("code", {}, requestId)),
  );
}
