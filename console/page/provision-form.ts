/** Where the machine runs and how strong it is: the form behind the Provision button. */
import type { CpuPriority, ProvisionRequest } from "../../client/mod.ts";
import { h, setAttribute, setText } from "./dom.ts";
import { regionName, REGIONS } from "./regions.ts";

const PRIORITIES: { value: CpuPriority; name: string; size: string }[] = [
  { value: "low", name: "Low", size: "1 shared CPU · 256 MB" },
  { value: "normal", name: "Normal", size: "2 shared CPUs · 512 MB" },
  { value: "high", name: "High", size: "1 dedicated CPU · 2 GB" },
];

export interface ProvisionFormOptions {
  /** The regions to offer; undefined: all. */
  regions: readonly string[] | undefined;
  onSubmit: (request: ProvisionRequest) => void;
  onChange: () => void;
}

export class ProvisionForm {
  readonly element: HTMLFormElement;
  readonly #button = h("button", {
    type: "submit",
    class: "primary",
    "aria-describedby": "reason",
  });
  readonly #reason = h("p", { id: "reason", class: "hint" });

  constructor({ regions, onSubmit, onChange }: ProvisionFormOptions) {
    this.element = h(
      "form",
      { class: "card provision", "aria-labelledby": "provision-title" },
      h("h2", { id: "provision-title" }, "New machine"),
      h("label", { for: "region" }, "Region"),
      regionSelect(regions ?? REGIONS),
      h("fieldset", { class: "choices" }, h("legend", {}, "CPU priority"), ...priorityChoices()),
      this.#button,
      this.#reason,
    );
    this.element.addEventListener("change", onChange);
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      // Not `disabled`: a disabled button loses the focus, and a keyboard user their place.
      if (this.#button.getAttribute("aria-disabled") !== "true") onSubmit(this.#request());
    });
  }

  /** What the button says, whether it can be pressed, and the sentence below it. */
  setButton({ text, disabled, reason }: { text: string; disabled: boolean; reason: string }): void {
    setText(this.#button, text);
    setAttribute(this.#button, "aria-disabled", disabled ? "true" : null);
    setText(this.#reason, reason);
  }

  #request(): ProvisionRequest {
    const chosen = new FormData(this.element);
    const region = String(chosen.get("region") ?? "");
    const priority = PRIORITIES.find(({ value }) => value === chosen.get("cpuPriority"));
    return { ...(region ? { region } : {}), cpuPriority: priority?.value ?? "normal" };
  }
}

function regionSelect(regions: readonly string[]): HTMLElement {
  return h(
    "select",
    { id: "region", name: "region" },
    h("option", { value: "" }, "The service's default"),
    ...regions.map((code) => h("option", { value: code }, regionName(code))),
  );
}

function priorityChoices(): HTMLElement[] {
  return PRIORITIES.map(({ value, name, size }) => {
    const id = `cpu-${value}`;
    const checked = value === "normal";
    return h(
      "label",
      { class: "choice", for: id },
      h("input", { type: "radio", name: "cpuPriority", value, id, checked }),
      h("span", { class: "choice-name" }, name),
      h("span", { class: "choice-size" }, size),
    );
  });
}
