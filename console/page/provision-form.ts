/** Where and how strong: the form behind the Provision button. */
import type { CpuPriority, ProvisionRequest } from "../../client/mod.ts";
import { h, setAttribute, setText } from "./dom.ts";
import { regionName, REGIONS } from "./regions.ts";

const PRIORITIES: { value: CpuPriority; name: string; size: string }[] = [
  { value: "low", name: "Low", size: "1 shared CPU · 256 MB" },
  { value: "normal", name: "Normal", size: "2 shared CPUs · 512 MB" },
  { value: "high", name: "High", size: "1 dedicated CPU · 2 GB" },
];

export interface ProvisionForm {
  element: HTMLFormElement;
  /** What the button says, and whether it can be pressed. */
  setButton(state: { text: string; disabled: boolean; reason?: string }): void;
}

export function provisionForm(
  regions: readonly string[] | undefined,
  onSubmit: (request: ProvisionRequest) => void,
  onChange: () => void,
): ProvisionForm {
  const region = h(
    "select",
    { id: "region", name: "region" },
    h("option", { value: "" }, "The service's default"),
    ...(regions ?? REGIONS).map((code) => h("option", { value: code }, regionName(code))),
  );
  const priorities = PRIORITIES.map(({ value, name, size }) => {
    const input = h("input", {
      type: "radio",
      name: "cpuPriority",
      value,
      id: `cpu-${value}`,
      checked: value === "normal",
    });
    return h(
      "label",
      { class: "choice", for: input.id },
      input,
      h("span", { class: "choice-name" }, name),
      h("span", { class: "choice-size" }, size),
    );
  });
  const button = h("button", { type: "submit", class: "primary", "aria-describedby": "reason" });
  const reason = h("p", { id: "reason", class: "hint" });

  const element = h(
    "form",
    { class: "card provision", "aria-labelledby": "provision-title" },
    h("h2", { id: "provision-title" }, "New machine"),
    h("label", { for: "region" }, "Region"),
    region,
    h("fieldset", { class: "choices" }, h("legend", {}, "CPU priority"), ...priorities),
    button,
    reason,
  );
  element.addEventListener("change", onChange);
  element.addEventListener("submit", (event) => {
    event.preventDefault();
    // Not `disabled`: a button that takes the focus away leaves a keyboard user nowhere.
    if (button.getAttribute("aria-disabled") === "true") return;
    const chosen = new FormData(element);
    const code = String(chosen.get("region") ?? "");
    onSubmit({
      ...(code ? { region: code } : {}),
      cpuPriority: PRIORITIES.find(({ value }) => value === chosen.get("cpuPriority"))?.value ??
        "normal",
    });
  });
  return {
    element,
    setButton(state) {
      setText(button, state.text);
      setAttribute(button, "aria-disabled", state.disabled ? "true" : null);
      setText(reason, state.reason ?? "");
    },
  };
}
