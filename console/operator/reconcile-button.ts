/** Runs reconcile and shows what it did. */
import { badge } from "../page/badge.ts";
import { fill, h, setAttribute, setText } from "../page/dom.ts";
import type { OperatorApi } from "./api.ts";
import { reconcileResult } from "./lists.ts";

export class ReconcileButton {
  readonly element: HTMLButtonElement;
  /** What the last run did, or why it failed. */
  readonly outcome = h("div", { role: "status" });
  readonly #api: OperatorApi;
  readonly #signal: AbortSignal;
  readonly #onDone: () => void;

  constructor(api: OperatorApi, signal: AbortSignal, onDone: () => void) {
    this.#api = api;
    this.#signal = signal;
    this.#onDone = onDone;
    this.element = h(
      "button",
      { type: "button", class: "primary", onclick: () => void this.#run() },
      "Reconcile now",
    );
  }

  async #run(): Promise<void> {
    if (this.element.getAttribute("aria-disabled") === "true") return;
    setAttribute(this.element, "aria-disabled", "true");
    setText(this.element, "Reconciling …");
    try {
      fill(this.outcome, reconcileResult(await this.#api.reconcile(this.#signal)));
    } catch (error) {
      if (this.#signal.aborted) return;
      const text = error instanceof Error ? error.message : String(error);
      fill(this.outcome, h("p", { class: "panel error" }, badge("bad", text)));
    } finally {
      setAttribute(this.element, "aria-disabled", null);
      setText(this.element, "Reconcile now");
    }
    this.#onDone();
  }
}
