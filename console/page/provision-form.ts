/** Where the machine runs and how strong it is: the form behind the Provision button. */
import type { ProvisionRequest } from "provision-machine-client";
import type { ButtonState } from "./button-state.ts";
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
  /** Start this machine in place of a new one. */
  onStart: (machineId: string) => void;
}

export class ProvisionForm {
  readonly element: HTMLFormElement;
  readonly #button = h("button", {
    type: "submit",
    class: "primary",
    "aria-describedby": "reason",
  });
  readonly #reason = h("p", { id: "reason", class: "hint" });
  readonly #start: HTMLButtonElement;
  readonly #makeRoom: HTMLButtonElement;
  #startable: string | undefined;
  #inTheWay: string | undefined;

  constructor({ regions, onSubmit, onChange, onMakeRoom, onStart }: ProvisionFormOptions) {
    this.#start = h("button", {
      type: "button",
      onclick: () => this.#startable && onStart(this.#startable),
    });
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
      this.#start,
      this.#makeRoom,
    );
    this.element.addEventListener("change", onChange);
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      // Not `disabled`: a disabled button loses the focus, and a keyboard user their place.
      if (this.#button.getAttribute("aria-disabled") !== "true") onSubmit(this.#request());
    });
  }

  setButton({ text, disabled, reason, makeRoom, start }: ButtonState): void {
    setText(this.#button, text);
    setAttribute(this.#button, "aria-disabled", disabled ? "true" : null);
    setText(this.#reason, reason ?? "");
    this.#startable = start;
    setText(this.#start, `Start ${start ?? ""}`);
    this.#start.hidden = start === undefined;
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
