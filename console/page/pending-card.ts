/** Stands where the machine's card will be, from the press of the button until there is a row. */
import type { ProvisionRequest } from "../../client/mod.ts";
import { badge } from "./badge.ts";
import { h } from "./dom.ts";
import { regionName } from "./regions.ts";
import { stepsOf, timeline } from "./timeline.ts";

export function pendingCard({ region }: ProvisionRequest): HTMLElement {
  return h(
    "article",
    { class: "card machine pending", "aria-label": "Requested machine" },
    h("header", {}, h("h2", {}, "New machine"), badge("busy", "requested")),
    h(
      "p",
      { class: "machine-facts" },
      region ? regionName(region) : "The service's default region",
    ),
    timeline(stepsOf(null)),
  );
}
