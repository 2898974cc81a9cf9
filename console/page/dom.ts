/** The few functions that stand in for a framework. Text is set as text, never parsed as HTML. */

type Child = Node | string | null | undefined | false;
type Properties = Record<string, string | boolean | number | null | undefined | EventListener>;

/**
 * Makes an element. A function becomes a listener for the event in its name (`onclick`), everything
 * else an attribute; `true` sets it empty, `false`, `null` and `undefined` leave it out.
 */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Properties = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else setAttribute(element, name, value);
  }
  element.append(...present(children));
  return element;
}

/** Sets or, for `false`, `null` and `undefined`, removes an attribute. */
export function setAttribute(
  element: Element,
  name: string,
  value: string | boolean | number | null | undefined,
): void {
  if (value === false || value === null || value === undefined) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? "" : String(value));
}

/** Replaces what is in an element. */
export function fill(element: Element, ...children: Child[]): void {
  element.replaceChildren(...present(children));
}

/** Sets the text only if it differs, so that screen readers announce only changes. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

const SVG = "http://www.w3.org/2000/svg";

/** A decorative picture: the text beside it says the same. */
export function icon(path: string): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS(SVG, "path");
  shape.setAttribute("d", path);
  svg.append(shape);
  return svg;
}

/** A button that puts `text` on the clipboard and says so. */
export function copyButton(text: string, what: string): HTMLButtonElement {
  const label = h("span", {}, "Copy");
  const button = h(
    "button",
    { type: "button", class: "copy", "aria-label": `Copy ${what}` },
    label,
  );
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      label.textContent = "Copied";
    } catch {
      // No permission, or no secure context: the text is there to be selected by hand.
      label.textContent = "Select it by hand";
    }
    button.setAttribute("aria-label", `${label.textContent}: ${what}`);
    setTimeout(() => {
      label.textContent = "Copy";
      button.setAttribute("aria-label", `Copy ${what}`);
    }, 2_000);
  });
  return button;
}

function present(children: Child[]): (Node | string)[] {
  return children.filter((child): child is Node | string =>
    child !== null && child !== undefined && child !== false
  );
}
