/** Stands where the machine's card will be, from the press of the button until there is a row. */
import type { ProvisionRequest } from "provision-machine-client";
import { badge } from "./badge.ts";
import { sizeOf } from "./cpu-sizes.ts";
import { h } from "./dom.ts";
import { Elapsed } from "./elapsed.ts";
import { regionName } from "./regions.ts";
import { stepsOf } from "./steps.ts";
import { timeline } from "./timeline.ts";

export class PendingCard {
  readonly element: HTMLElement;
  readonly #elapsed: Elapsed;

  constructor({ region, cpuPriority }: ProvisionRequest, usualMs: number | null) {
    this.#elapsed = new Elapsed(Date.now(), usualMs);
    const where = region ? regionName(region) : "The service's default region";
    this.element = h(
      "article",
      { class: "card machine pending", "aria-label": "Requested machine" },
      h("header", {}, h("h2", {}, "New machine"), badge("busy", "requested")),
      h("p", { class: "machine-facts" }, `${where} · ${sizeOf(cpuPriority ?? "normal")}`),
      timeline(stepsOf(null)),
      this.#elapsed.element,
    );
  }

  stop(): void {
    this.#elapsed.stop();
  }
}
