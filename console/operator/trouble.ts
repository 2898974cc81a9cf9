/** Which reads of the dashboard fail, and why. */
import { badge } from "../page/badge.ts";
import { fill, h } from "../page/dom.ts";
import { OperatorError } from "./operator-error.ts";

export class Trouble {
  readonly element = h("div", { role: "alert" });
  #shown = "";

  /** @param errors by the name of what cannot be read */
  show(errors: Map<string, Error>): void {
    const reasons = new Map<string, { names: string[]; requestId: string | null }>();
    for (const [name, error] of errors) {
      const requestId = error instanceof OperatorError ? error.requestId : null;
      const known = reasons.get(error.message) ?? { names: [], requestId };
      known.names.push(name);
      reasons.set(error.message, known);
    }
    // Unchanged trouble is not announced again.
    const seen = JSON.stringify([...reasons].map(([text, { names }]) => [text, names]));
    if (seen === this.#shown) return;
    this.#shown = seen;
    if (reasons.size === 0) return fill(this.element);
    fill(
      this.element,
      h(
        "div",
        { class: "panel error" },
        h("p", { class: "error-title" }, badge("bad", "Some of this page cannot be read now.")),
        h(
          "dl",
          { class: "facts" },
          ...[...reasons].flatMap(([text, { names, requestId }]) => [
            h("dt", {}, names.join(", ")),
            h("dd", {}, text, requestId && h("code", {}, ` ${requestId}`)),
          ]),
        ),
      ),
    );
  }
}
