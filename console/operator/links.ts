/** What leads to more about a machine, a user or a request. */
import { h } from "../page/dom.ts";

/** A link that leaves the console; null without an address. */
export function outside(address: string | null, text: string, about: string): HTMLElement | null {
  if (address === null) return null;
  return h(
    "a",
    { href: address, target: "_blank", rel: "noreferrer", class: "outside" },
    text,
    h("span", { class: "visually-hidden" }, `: ${about}`),
  );
}

/** A button that searches for what it names. */
export function findButton(
  onFind: (value: string) => void,
  what: string,
  value: string,
  text = value,
): HTMLElement {
  return h("button", {
    type: "button",
    class: "link",
    title: value,
    "aria-label": `${text}: all of ${what} ${value}`,
    onclick: () => onFind(value),
  }, text);
}
