/** Where the machine runs and how strong it is: the form behind the Provision button. */
import type { ProvisionRequest } from "provision-machine-client";
import { CPU_SIZES, isCpuPriority } from "./cpu-sizes.ts";
import { h, setAttribute, setText } from "./dom.ts";
import { regionName, REGIONS } from "./regions.ts";

export interface ProvisionFormOptions {
  /** The regions to offer; undefined: all. */
  regions: readonly string[] | undefined;
  onSubmit: (request: ProvisionRequest) => void;
  onChange: () => void;
  /** Destroy this machine to make room for another. */
  onMakeRoom: (machineId: string) => void;
}

export interface ButtonState {
  text: string;
  disabled: boolean;
  /** The sentence below the button. */
  reason?: string;
  /** The machine to destroy before there can be another. */
  makeRoom?: string | undefined;
}

export class ProvisionForm {
  readonly element: HTMLFormElement;
  readonly #button = h("button", {
    type: "submit",
    class: "primary",
    "aria-describedby": "reason",
  });
  readonly #reason = h("p", { id: "reason", class: "hint" });
  readonly #makeRoom: HTMLButtonElement;
  #inTheWay: string | undefined;

  constructor({ regions, onSubmit, onChange, onMakeRoom }: ProvisionFormOptions) {
    this.#makeRoom = h("button", {
      type: "button",
      class: "danger",
      onclick: () => this.#inTheWay && onMakeRoom(this.#inTheWay),
    });
    this.element = h(
      "form",
      { class: "card provision", "aria-labelledby": "provision-title" },
      h("h2", { id: "provision-title" }, "New machine"),
      h("label", { for: "region" }, "Region"),
      regionSelect(regions ?? REGIONS),
      h("fieldset", { class: "choices" }, h("legend", {}, "CPU priority"), ...priorityChoices()),
      this.#button,
      this.#reason,
      this.#makeRoom,
    );
    this.element.addEventListener("change", onChange);
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      // Not `disabled`: a disabled button loses the focus, and a keyboard user their place.
      if (this.#button.getAttribute("aria-disabled") !== "true") onSubmit(this.#request());
    });
  }

  setButton({ text, disabled, reason, makeRoom }: ButtonState): void {
    setText(this.#button, text);
    setAttribute(this.#button, "aria-disabled", disabled ? "true" : null);
    setText(this.#reason, reason ?? "");
    this.#inTheWay = makeRoom;
    setText(this.#makeRoom, `Destroy ${makeRoom ?? ""}`);
    this.#makeRoom.hidden = makeRoom === undefined;
  }

  #request(): ProvisionRequest {
    const chosen = new FormData(this.element);
    const region = String(chosen.get("region") ?? "");
    const priority = chosen.get("cpuPriority");
    return {
      ...(region ? { region } : {}),
      cpuPriority: isCpuPriority(priority) ? priority : "normal",
    };
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
  return Object.entries(CPU_SIZES).map(([value, { name, size }]) => {
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
