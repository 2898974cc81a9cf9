/** Which stretch of time the pictures show. */
import { h } from "../page/dom.ts";
import { type Span, SPANS } from "./outcomes.ts";

export class SpanSelect {
  readonly element: HTMLElement;
  #span: Span = SPANS[1] ?? { name: "1 hour", binMs: 300_000, bins: 12 };

  constructor(onChange: () => void) {
    const select = h(
      "select",
      { id: "span" },
      ...SPANS.map(({ name }) =>
        h("option", { value: name, selected: name === this.#span.name }, name)
      ),
    );
    select.addEventListener("change", () => {
      this.#span = SPANS.find(({ name }) => name === select.value) ?? this.#span;
      onChange();
    });
    this.element = h(
      "div",
      { class: "field" },
      h("label", { for: "span" }, "Show the last"),
      select,
    );
  }

  get value(): Span {
    return this.#span;
  }
}
