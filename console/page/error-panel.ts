/** A failed call in human words, with what to do next and the request id to tell. */
import type { ProvisionMachineError } from "../../client/mod.ts";
import { type Countdown, countdown } from "./countdown.ts";
import { copyButton, fill, h } from "./dom.ts";
import { explain } from "./error-sentences.ts";
import { badge } from "./status.ts";

export interface ErrorPanel {
  element: HTMLElement;
  show(error: ProvisionMachineError): void;
  clear(): void;
}

/** @param onWaiting told `true` while a `Retry-After` runs, `false` when it is over */
export function errorPanel(onWaiting: (waiting: boolean) => void = () => {}): ErrorPanel {
  // The element is there from the start: screen readers announce what comes into it.
  const element = h("div", { role: "alert", class: "error-slot" });
  let running: Countdown | undefined;

  const clear = () => {
    running?.stop();
    if (running) onWaiting(false);
    running = undefined;
    fill(element);
  };
  return {
    element,
    clear,
    show(error) {
      clear();
      const { sentence, next, retry } = explain(error.code);
      if (retry && error.retryAfterSeconds !== null) {
        const current = countdown(error.retryAfterSeconds);
        running = current;
        onWaiting(true);
        current.over.then(() => onWaiting(false));
      }
      fill(
        element,
        h(
          "div",
          { class: "panel error" },
          h("p", { class: "error-title" }, badge("bad", sentence)),
          h("p", {}, next),
          issueList(error),
          running?.element,
          errorDetails(error),
        ),
      );
    },
  };
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
  const status = error.status === null ? "no answer" : `HTTP ${error.status}`;
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
