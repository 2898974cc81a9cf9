/** Asks for a service key, which stays in this tab's memory, then shows the dashboard. */
import { badge } from "../page/badge.ts";
import type { ConsoleConfig } from "../page/config.ts";
import { fill, h } from "../page/dom.ts";
import type { View } from "../page/view.ts";
import { OperatorApi } from "./api.ts";
import { Dashboard } from "./dashboard.ts";
import { linksOf } from "./addresses.ts";
import type { OperatorError } from "./operator-error.ts";

export class OperatorView implements View {
  readonly element = h("div", { class: "operator" });
  readonly #config: ConsoleConfig;
  #dashboard: Dashboard | undefined;

  constructor(config: ConsoleConfig) {
    this.#config = config;
    this.#askForKey();
  }

  stop(): void {
    this.#dashboard?.stop();
  }

  #askForKey(refusal?: OperatorError): void {
    this.#dashboard?.stop();
    this.#dashboard = undefined;
    fill(this.element, keyForm((key) => this.#open(key), refusal));
  }

  #open(key: string): void {
    const api = new OperatorApi(this.#config, key);
    const links = linksOf(this.#config.supabaseUrl);
    this.#dashboard = new Dashboard(api, links, (refusal) => this.#askForKey(refusal));
    fill(
      this.element,
      h(
        "div",
        { class: "operator-head" },
        h("h1", { tabindex: -1 }, "How provisioning is doing"),
        h("button", { type: "button", onclick: () => this.#askForKey() }, "Forget the key"),
      ),
      this.#dashboard.element,
    );
  }
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
    h("h1", { tabindex: -1 }, "Operator"),
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
