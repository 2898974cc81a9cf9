/** The picture: what a dashboard shows of the scrapes, drawn by Observable Plot. */
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { quantile, type Scrape } from "./scrape.ts";

const WIDTH = 560;
const HEIGHT = 240;
const GAP = 24;
/** Of the window that an increase or a quantile is taken over, in scrapes. */
const WINDOW = 4;
const COLORS: Record<string, string> = {
  "succeeded": "#2f9e5b",
  "failed": "#d64545",
  "running": "#2f9e5b",
  "provisioning": "#d9a21b",
  "error": "#d64545",
  "50 %": "#2f6fb0",
  "95 %": "#b0492f",
};

/** SVG of four charts; `events` are drawn as marks on the time axis. */
export function drawMetrics(
  scrapes: Scrape[],
  events: { from: number; to: number; what: string }[],
): string {
  // Deno's types know no DOM, and so neither do linkedom's here.
  const { document } = parseHTML("<!doctype html><html><body></body></html>") as unknown as {
    document: PlotDocument;
  };
  const pairs = scrapes.flatMap((later, index) => {
    const earlier = scrapes[index - WINDOW];
    return earlier ? [{ earlier, later }] : [];
  });
  const attempts = pairs.flatMap(({ earlier, later }) => {
    const by = (scrape: Scrape, outcome: string) => sum(scrape.attempts, outcome);
    return [["succeeded", "running"], ["failed", "error"]].map(([what = "", outcome = ""]) => ({
      at: later.at,
      what,
      value: by(later, outcome) - by(earlier, outcome),
    }));
  });
  const codes = pairs.flatMap(({ earlier, later }) =>
    later.attempts.filter(({ code }) => code !== "").map(({ code, total }) => ({
      at: later.at,
      what: code,
      value: total - (earlier.attempts.find((a) => a.code === code)?.total ?? 0),
    }))
  );
  const durations = pairs.flatMap(({ earlier, later }) =>
    [["50 %", 0.5], ["95 %", 0.95]].flatMap(([what, share]) => {
      const value = quantile(Number(share), earlier, later);
      return value === null ? [] : [{ at: later.at, what: String(what), value }];
    })
  );
  const machines = scrapes.flatMap(({ at, machines }) =>
    machines.filter(({ status }) => status !== "destroyed").map(({ status, count }) => ({
      at,
      what: status,
      value: count,
    }))
  );
  const chart = (title: string, data: Point[], kind: "line" | "area", unit: string) =>
    drawChart(document, { title, data, kind, unit, events, until: scrapes.at(-1)?.at ?? 0 });
  const seconds = Math.round((scrapes[WINDOW]?.at ?? 0) - (scrapes[0]?.at ?? 0));
  const charts = [
    chart(`Finished attempts in ${seconds} s`, attempts, "area", "attempts"),
    chart(`Failures by code in ${seconds} s`, codes, "area", "attempts"),
    chart("How long provisioning took", durations, "line", "seconds"),
    chart("Machines by status", machines, "line", "machines"),
  ];
  return compose(charts);
}

type PlotDocument = NonNullable<Plot.PlotOptions["document"]>;

interface Point {
  at: number;
  what: string;
  value: number;
}

interface Chart {
  title: string;
  data: Point[];
  kind: "line" | "area";
  unit: string;
  events: { from: number; to: number; what: string }[];
  until: number;
}

function drawChart(
  document: PlotDocument,
  { title, data, kind, unit, events, until }: Chart,
): string {
  const names = [...new Set(data.map(({ what }) => what))].sort();
  const marks = { x: "at", y: "value" } as const;
  const svg = Plot.plot({
    document,
    width: WIDTH,
    height: HEIGHT,
    marginLeft: 44,
    marginTop: 44,
    style: { fontFamily: "system-ui, sans-serif", fontSize: "11px" },
    x: { label: "seconds", domain: [0, until] },
    // Room for the names of the faults.
    y: { label: null, grid: true, zero: true, ticks: 5, insetTop: 18 },
    color: {
      domain: names,
      range: names.map((name, index) =>
        COLORS[name] ?? Plot.scale({
          color: { type: "categorical", domain: names, scheme: "Observable10" },
        }).apply(names[index])
      ),
    },
    marks: [
      Plot.rectX(events, { x1: "from", x2: "to", fill: "#000", fillOpacity: 0.05 }),
      kind === "area"
        ? Plot.areaY(data, { ...marks, fill: "what", curve: "step" })
        : Plot.lineY(data, { ...marks, stroke: "what", strokeWidth: 2 }),
      Plot.text(events, {
        x: (event) => (event.from + event.to) / 2,
        text: "what",
        frameAnchor: "top",
        dy: 3,
        fill: "#666",
      }),
      Plot.ruleY([0]),
      Plot.text([`${title} (${unit})`], {
        frameAnchor: "top-left",
        dy: -38,
        dx: -40,
        fontSize: 14,
        fontWeight: 600,
      }),
      ...legend(names),
    ],
  });
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return svg.outerHTML;
}

/** Inside the chart's own SVG, which Plot's legends are not. */
function legend(names: string[]) {
  const offsets = names.map((_, index) =>
    names.slice(0, index).reduce((x, name) => x + 22 + name.length * 6, 0)
  );
  return names.flatMap((name, index) => [
    Plot.text(["■"], {
      frameAnchor: "top-left",
      dx: (offsets[index] ?? 0) - 40,
      dy: -18,
      fontSize: 13,
      fill: COLORS[name] ? COLORS[name] : () => name,
    }),
    Plot.text([name], {
      frameAnchor: "top-left",
      dx: (offsets[index] ?? 0) - 28,
      dy: -17,
      fill: "#333",
    }),
  ]);
}

function compose(charts: string[]): string {
  const width = 2 * WIDTH + 3 * GAP;
  const height = 2 * HEIGHT + 3 * GAP;
  const placed = charts.map((svg, index) => {
    const x = GAP + (index % 2) * (WIDTH + GAP);
    const y = GAP + Math.floor(index / 2) * (HEIGHT + GAP);
    return svg.replace("<svg ", `<svg x="${x}" y="${y}" `);
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
<rect width="100%" height="100%" fill="white"/>
${placed.join("\n")}
</svg>
`;
}

function sum(attempts: Scrape["attempts"], outcome: string): number {
  return attempts.filter((a) => a.outcome === outcome).reduce((all, { total }) => all + total, 0);
}
