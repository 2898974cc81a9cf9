/** Runs reconcile and shows what it did. */
import { badge } from "../page/badge.ts";
import { fill, h, setAttribute, setText } from "../page/dom.ts";
import { clockTime } from "../page/format-time.ts";
import type { Tone } from "../page/tone.ts";
import type { OperatorApi, Reconciled } from "./api.ts";

const ACTION_WORDS: Record<string, string> = {
  adopted: "rows adopted their running machine",
  interrupted: "rows closed after their request died",
  destroyed: "machines destroyed as requested",
  cleanedUp: "failed rows whose machine is now gone",
  orphansDestroyed: "machines without a row destroyed",
  lost: "rows closed whose machine is gone",
  found: "rows adopted a machine that was believed lost",
  pooled: "machines made for the warm pool",
  poolDiscarded: "machines of the warm pool to be replaced",
  poolDestroyed: "discarded machines of the warm pool destroyed",
  suspected: "machines may be lost or without a row; the next run decides",
  orphansHeld: "machines without a row held back from destruction",
  alertsSent: "alerts sent",
  failed: "steps failed; the next run tries again",
};

/** Whatever is not listed here is a repair. */
const TONES: Record<string, Tone> = { failed: "bad", orphansHeld: "warning", suspected: "warning" };

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
      { type: "button", onclick: () => void this.#run() },
      "Reconcile now",
    );
  }

  /** Something has failed since: what the last run found is not good news any more. */
  markStale(): void {
    this.outcome.toggleAttribute("data-stale", true);
  }

  async #run(): Promise<void> {
    if (this.element.getAttribute("aria-disabled") === "true") return;
    setAttribute(this.element, "aria-disabled", "true");
    setText(this.element, "Reconciling …");
    try {
      const result = await this.#api.reconcile(this.#signal);
      this.outcome.toggleAttribute("data-stale", false);
      fill(this.outcome, reconcileResult(result));
    } catch (error) {
      if (this.#signal.aborted) return;
      const text = error instanceof Error ? error.message : String(error);
      const title = badge("bad", `Reconcile failed at ${clockTime(Date.now())}`);
      fill(this.outcome, h("div", { class: "panel error" }, h("p", {}, title), h("p", {}, text)));
    } finally {
      setAttribute(this.element, "aria-disabled", null);
      setText(this.element, "Reconcile now");
    }
    this.#onDone();
  }
}

function reconcileResult({ counts, requestId }: Reconciled): HTMLElement {
  const done = Object.entries(counts).filter(([, n]) => n > 0);
  return h(
    "div",
    { class: "panel" },
    h(
      "ul",
      {},
      ...done.map(([action, n]) =>
        h(
          "li",
          {},
          badge(TONES[action] ?? "good", `${n} ${ACTION_WORDS[action] ?? action}`),
        )
      ),
      done.length === 0 &&
        h("li", {}, badge("good", "Everything was in order: nothing to repair")),
    ),
    h(
      "p",
      { class: "muted" },
      `At ${clockTime(Date.now())}, request id `,
      h("code", {}, requestId),
    ),
  );
}
