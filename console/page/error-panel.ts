/** A failed call in plain words, with what to do next and the request id to report. */
import type { ProvisionMachineError } from "provision-machine-client";
import { badge } from "./badge.ts";
import { type Countdown, countdown } from "./countdown.ts";
import { copyButton, fill, h } from "./dom.ts";
import { explain, nextStep } from "./error-sentences.ts";

export class ErrorPanel {
  // There from the start: screen readers announce what is added to an element they know.
  readonly element = h("div", { role: "alert", class: "error-slot" });
  readonly #onWaiting: (waiting: boolean) => void;
  #running: Countdown | undefined;

  /** @param onWaiting called with `true` while a `Retry-After` runs, with `false` when it is over */
  constructor(onWaiting: (waiting: boolean) => void) {
    this.#onWaiting = onWaiting;
  }

  clear(): void {
    this.#running?.stop();
    if (this.#running) this.#onWaiting(false);
    this.#running = undefined;
    fill(this.element);
  }

  show(error: ProvisionMachineError): void {
    this.clear();
    const { sentence } = explain(error.code);
    // The limit is a rule, not a failure.
    const tone = error.code === "machine_limit_reached" ? "warning" : "bad";
    if (error.retry !== "no" && error.retryAfterSeconds !== null) {
      const running = countdown(error.retryAfterSeconds);
      this.#running = running;
      this.#onWaiting(true);
      void running.over.then(() => this.#onWaiting(false));
    }
    fill(
      this.element,
      h(
        "div",
        { class: `panel ${tone === "bad" ? "error" : tone}` },
        h("p", { class: "error-title" }, badge(tone, sentence)),
        h("p", {}, nextStep(error)),
        issueList(error),
        this.#running?.element,
        errorDetails(error),
      ),
    );
  }
}

function issueList({ issues }: ProvisionMachineError): HTMLElement | null {
  if (issues.length === 0) return null;
  return h(
    "ul",
    { class: "issues" },
    ...issues.map(({ path, message }) =>
      h("li", {}, path && h("code", {}, path), path ? ": " : null, message)
    ),
  );
}

function errorDetails(error: ProvisionMachineError): HTMLElement {
  const status = error.status === null ? "no response" : `HTTP ${error.status}`;
  return h(
    "dl",
    { class: "facts" },
    h("dt", {}, "Code"),
    h("dd", {}, h("code", {}, error.code), ` · ${status}`),
    h("dt", {}, "Details"),
    h("dd", {}, error.message),
    error.requestId !== null && h("dt", {}, "Request id"),
    error.requestId !== null &&
      h("dd", {}, h("code", {}, error.requestId), copyButton(error.requestId, "request id")),
  );
}
