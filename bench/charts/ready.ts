/** Draws what bench:ready found beside what others publish. */
import * as Plot from "@observablehq/plot";
import { z } from "zod";
import { beside, COLORS, plot } from "./plot.ts";

export const Ready = z.object({
  rows: z.record(z.string(), z.object({ p50: z.number(), p99: z.number(), last: z.number() })),
  sandboxes: z.record(z.string(), z.number()),
});

const KINDS = {
  "this project, p50": COLORS["ours"] ?? "",
  "its p99": COLORS["jitter"] ?? "",
  "others, published p50": COLORS["floor"] ?? "",
};

interface Bar {
  name: string;
  seconds: number;
  kind: keyof typeof KINDS;
}

export function drawReady({ rows, sandboxes }: z.output<typeof Ready>): string {
  const bars = Object.entries(rows).filter(([name]) => !name.includes("stuck"))
    .flatMap(([name, { p50, p99 }]): Bar[] => [
      { name, seconds: p99 / 1_000, kind: "its p99" },
      { name, seconds: p50 / 1_000, kind: "this project, p50" },
    ]);
  const others = Object.entries(sandboxes).map(([name, ms]): Bar => ({
    name,
    seconds: ms / 1_000,
    kind: "others, published p50",
  }));
  const all = [...bars, ...others];
  return beside(
    [
      plot("From a request to a machine, seconds", KINDS, {
        height: 400,
        marginLeft: 170,
        x: { type: "log", label: "seconds", grid: true, domain: [0.004, 200] },
        y: { label: null, domain: [...new Set(all.map(({ name }) => name))] },
        marks: [
          Plot.ruleY(bars.filter(({ kind }) => kind === "its p99"), {
            x1: 0.004,
            x2: "seconds",
            y: "name",
            stroke: "#ddd",
          }),
          Plot.dot(all, {
            x: "seconds",
            y: "name",
            r: 5,
            fill: (bar: Bar) => KINDS[bar.kind],
          }),
        ],
      }),
    ],
    560,
    400,
  );
}
