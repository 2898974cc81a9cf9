/** A chart that can be read without seeing it: with a sentence, a legend and a table. */
import type { Chart, ChartConfiguration } from "chart.js";
import { fill, h, setText } from "../page/dom.ts";
import { draw, type Pattern } from "./chart.ts";

export interface Picture {
  /** What the chart shows, in one sentence. */
  summary: string;
  configuration: ChartConfiguration;
  columns: string[];
  rows: string[][];
  /** Pixels; for charts that grow with the number of their bars. */
  height?: number;
}

export type Mark = Pattern | "line" | "dashed";

export interface LegendEntry {
  name: string;
  mark: Mark;
  colour: "blue" | "vermilion" | "amber";
}

export class Figure {
  readonly element: HTMLElement;
  readonly #summary: HTMLElement;
  readonly #frame: HTMLElement;
  readonly #canvas: HTMLCanvasElement;
  readonly #table = h("table");
  #chart: Chart | undefined;

  constructor(id: string, title: string, legend: LegendEntry[] = []) {
    this.#canvas = h("canvas", { role: "img", "aria-labelledby": `${id}-title ${id}-summary` });
    this.#frame = h("div", { class: "chart" }, this.#canvas);
    this.#summary = h("p", { id: `${id}-summary`, class: "summary" });
    this.element = h(
      "figure",
      { class: "card figure", id },
      h("figcaption", {}, h("h2", { id: `${id}-title` }, title), this.#summary),
      legend.length > 0 && h(
        "ul",
        { class: "legend", "aria-hidden": "true" },
        ...legend.map(({ name, mark, colour }) =>
          h("li", {}, h("span", { class: `swatch ${mark} ${colour}` }), name)
        ),
      ),
      this.#frame,
      h(
        "details",
        {},
        h("summary", {}, "As a table", h("span", { class: "visually-hidden" }, `: ${title}`)),
        h(
          "div",
          { class: "table", tabindex: 0, role: "region", "aria-label": `Table: ${title}` },
          this.#table,
        ),
      ),
    );
  }

  show({ summary, configuration, columns, rows, height = 240 }: Picture): void {
    setText(this.#summary, summary);
    this.#frame.style.height = `${height}px`;
    this.#chart?.destroy();
    this.#chart = undefined;
    if (rows.length === 0) this.#frame.style.height = "0";
    else this.#chart = draw(this.#canvas, configuration);
    fill(
      this.#table,
      h("thead", {}, h("tr", {}, ...columns.map((name) => h("th", { scope: "col" }, name)))),
      h(
        "tbody",
        {},
        ...rows.map(([first = "", ...others]) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, first),
            ...others.map((cell) => h("td", {}, cell)),
          )
        ),
      ),
    );
  }

  /** Instead of a picture that cannot be drawn. */
  unavailable(reason: string): void {
    this.#chart?.destroy();
    this.#chart = undefined;
    this.#frame.style.height = "0";
    setText(this.#summary, reason);
    fill(this.#table);
  }
}
