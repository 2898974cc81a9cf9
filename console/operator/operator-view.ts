/** Asks for a service key, which stays in this tab's memory, then shows the dashboard. */
import type { ConsoleConfig } from "../page/config.ts";
import { fill, h } from "../page/dom.ts";
import { badge } from "../page/status.ts";
import type { View } from "../page/user-view.ts";
import { OperatorApi, type OperatorError } from "./api.ts";
import { dashboard } from "./dashboard.ts";

export function operatorView(config: ConsoleConfig): View {
  const element = h("div", { class: "operator" });
  let shown: View | undefined;

  function ask(refusal?: OperatorError): void {
    shown?.stop();
    shown = undefined;
    fill(element, keyForm(open, refusal));
  }

  function open(key: string): void {
    shown = dashboard(new OperatorApi(config, key), ask);
    fill(
      element,
      h(
        "div",
        { class: "operator-head" },
        h("h1", {}, "How provisioning is doing"),
        h("button", { type: "button", onclick: () => ask() }, "Forget the key"),
      ),
      shown.element,
    );
  }

  ask();
  return { element, stop: () => shown?.stop() };
}

function keyForm(onKey: (key: string) => void, refusal?: OperatorError): HTMLElement {
  const input = h("input", {
    id: "service-key",
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
    "aria-describedby": "service-key-hint",
  });
  const form = h(
    "form",
    { class: "card key-form" },
    h("h1", {}, "Operator"),
    h("p", { class: "muted" }, "Success, durations, failures, health and repair, at a glance."),
    h("label", { for: "service-key" }, "Service key"),
    input,
    h(
      "p",
      { id: "service-key-hint", class: "hint" },
      "A secret key of the project. It is kept in the memory of this tab and nowhere else: reload " +
        "the page and it is gone.",
    ),
    h("button", { type: "submit", class: "primary" }, "Show"),
    h(
      "div",
      { role: "alert" },
      refusal && h(
        "div",
        { class: "panel error" },
        h("p", {}, badge("bad", "The key is not accepted.")),
        h("p", {}, refusal.message),
        refusal.requestId &&
          h("p", { class: "muted" }, "Request id ", h("code", {}, refusal.requestId)),
      ),
    ),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const key = input.value.trim();
    if (key) onKey(key);
  });
  return form;
}
