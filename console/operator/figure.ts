/** A chart that can be read without seeing it: with a sentence, a legend and a table. */
import type { Chart, ChartConfiguration } from "chart.js";
import { fill, h, setText } from "../page/dom.ts";
import { draw, type Pattern } from "./chart.ts";
import type { Reading } from "./reading.ts";
import { noteOf } from "./section.ts";

export interface Picture {
  /** What the chart shows, in one sentence. */
  summary: string;
  configuration: ChartConfiguration;
  columns: string[];
  rows: string[][];
  /** Pixels that it needs; a chart with many bars needs more than the others. */
  height?: number;
}

export type Mark = Pattern | "line" | "dashed";

export interface LegendEntry {
  name: string;
  mark: Mark;
  colour: "blue" | "vermilion" | "amber";
}

const HEIGHT_PX = 240;

export class Figure {
  readonly element: HTMLElement;
  readonly #summary: HTMLElement;
  readonly #note = h("div", {});
  readonly #frame: HTMLElement;
  readonly #canvas: HTMLCanvasElement;
  readonly #table = h("table");
  #chart: Chart | undefined;
  #shown = "";

  constructor(id: string, title: string, legend: LegendEntry[] = []) {
    this.#canvas = h("canvas", { role: "img", "aria-labelledby": `${id}-title ${id}-summary` });
    this.#frame = h("div", { class: "chart" }, this.#canvas);
    this.#summary = h("p", { id: `${id}-summary`, class: "summary" });
    this.element = h(
      "figure",
      { class: "card figure", id },
      h("figcaption", {}, h("h2", { id: `${id}-title` }, title), this.#summary, this.#note),
      legend.length > 0 && legendList(legend),
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
    this.#frame.style.minHeight = `${HEIGHT_PX}px`;
  }

  /** Shows what is known. An unchanged picture is left alone, a changed one updated in place. */
  show<T>(reading: Reading<T>, pictureOf: (value: T) => Picture): void {
    this.element.dataset["state"] = reading.state;
    this.element.toggleAttribute("data-stale", reading.state === "stale");
    // While it is loading, the frame says so.
    fill(this.#note, reading.state === "loading" ? null : noteOf(reading));
    if ("value" in reading) this.#showPicture(pictureOf(reading.value));
    // Without a value there is nothing to draw, but the room for it stays.
    this.#canvas.hidden = this.#chart === undefined;
  }

  /** Draws again, in the colours of now. */
  redraw<T>(reading: Reading<T>, pictureOf: (value: T) => Picture): void {
    this.#chart?.destroy();
    this.#chart = undefined;
    this.#shown = "";
    this.show(reading, pictureOf);
  }

  #showPicture({ summary, configuration, columns, rows, height = HEIGHT_PX }: Picture): void {
    const seen = JSON.stringify([summary, rows]);
    if (seen === this.#shown) return;
    this.#shown = seen;
    setText(this.#summary, summary);
    this.#frame.style.minHeight = `${Math.max(HEIGHT_PX, height)}px`;
    fill(this.#table, ...tableParts(columns, rows));
    this.element.toggleAttribute("data-empty", rows.length === 0);
    if (rows.length === 0) {
      this.#chart?.destroy();
      this.#chart = undefined;
      return;
    }
    this.#canvas.hidden = false;
    if (this.#chart === undefined) this.#chart = draw(this.#canvas, configuration);
    else update(this.#chart, configuration);
  }
}

/** Keeps the chart's own objects, and with them what the pointer is on. */
function update(chart: Chart, { data }: ChartConfiguration): void {
  chart.data.labels = data.labels ?? [];
  for (const [index, dataset] of data.datasets.entries()) {
    const drawn = chart.data.datasets[index];
    if (drawn) Object.assign(drawn, dataset);
  }
  chart.update("none");
}

function legendList(legend: LegendEntry[]): HTMLElement {
  return h(
    "ul",
    { class: "legend", "aria-hidden": "true" },
    ...legend.map(({ name, mark, colour }) =>
      h("li", {}, h("span", { class: `swatch ${mark} ${colour}` }), name)
    ),
  );
}

function tableParts(columns: string[], rows: string[][]): HTMLElement[] {
  return [
    h("thead", {}, h("tr", {}, ...columns.map((name) => h("th", { scope: "col" }, name)))),
    h(
      "tbody",
      {},
      ...rows.map(([first = "", ...others]) =>
        h("tr", {}, h("th", { scope: "row" }, first), ...others.map((cell) => h("td", {}, cell)))
      ),
    ),
  ];
}
