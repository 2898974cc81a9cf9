/**
 * Draws docs/images/bench-burst.svg, bench-ready.svg and bench-requests.svg from bench/results/.
 *
 * `deno task bench:charts`
 */
import * as Plot from "@observablehq/plot";
import { z } from "zod";
import { progress } from "../support/report.ts";
import { beside, COLORS, plot } from "./plot.ts";
import { drawReady, Ready } from "./ready.ts";

const RESULTS = new URL("../results/", import.meta.url);
const IMAGES = new URL("../../docs/images/", import.meta.url);

const Burst = z.object({
  settings: z.object({ calls: z.number() }),
  timelines: z.record(z.string(), z.array(z.object({ atMs: z.number(), status: z.number() }))),
});
const Middle = z.object({ median: z.number() });
const Variant = z.object({
  latencyMs: Middle,
  cpuMsPerRequest: Middle,
  requestsPerSecond: Middle,
  loggedBytesPerRequest: z.number(),
  residentMiB: z.number(),
});
const Requests = z.object({
  summary: z.object({
    "shared app": z.object({ floor: Variant, naive: Variant, ours: Variant }),
  }),
});

async function result<T>(name: string, schema: z.ZodType<T>): Promise<T> {
  try {
    return schema.parse(JSON.parse(await Deno.readTextFile(new URL(`${name}.json`, RESULTS))));
  } catch (cause) {
    throw new Error(`Run deno task bench:${name} first`, { cause });
  }
}

function drawBurst({ settings, timelines }: z.output<typeof Burst>): string {
  const colors = [COLORS["ours"], COLORS["retry"], COLORS["jitter"]];
  const names = Object.fromEntries(
    Object.keys(timelines).map((name, index) => [name, colors[index] ?? "#000"]),
  );
  const points = (counts: (status: number) => boolean) =>
    Object.entries(timelines).flatMap(([name, creates]) => {
      let count = 0;
      const end = Math.max(...creates.map(({ atMs }) => atMs));
      return [
        { name, seconds: 0, count: 0 },
        ...creates.filter(({ status }) => counts(status)).map(({ atMs }) => ({
          name,
          seconds: atMs / 1_000,
          count: ++count,
          // Thousands of steps look the same as the last one of each quarter of a second.
        })).filter(({ seconds }, index, all) =>
          Math.floor(4 * seconds) !== Math.floor(4 * (all[index + 1]?.seconds ?? Infinity))
        ),
        { name, seconds: end / 1_000, count },
      ];
    });
  const line = (data: ReturnType<typeof points>) =>
    Plot.lineY(data, {
      x: "seconds",
      y: "count",
      stroke: (point: { name: string }) => names[point.name],
      z: "name",
      strokeWidth: 2,
      curve: "step-after",
    });
  const axes = { x: { label: "seconds" }, y: { label: null, grid: true } };
  return beside([
    plot(`Machines, of ${settings.calls} asked for at once`, names, {
      ...axes,
      marks: [Plot.ruleY([0]), line(points((status) => status === 200))],
    }),
    plot("Creates that Fly.io refused with 429", names, {
      ...axes,
      marks: [Plot.ruleY([0]), line(points((status) => status === 429))],
    }),
  ]);
}

/** The mode that has a naive version. */
function drawRequests({ summary: { "shared app": summary } }: z.output<typeof Requests>): string {
  const columns: [string, (variant: z.output<typeof Variant>) => number, number][] = [
    ["p50, ms", ({ latencyMs }) => latencyMs.median, 0],
    ["CPU, ms", ({ cpuMsPerRequest }) => cpuMsPerRequest.median, 2],
    ["requests/s on one core", ({ requestsPerSecond }) => requestsPerSecond.median, 0],
    ["memory, MiB", ({ residentMiB }) => residentMiB, 0],
    ["bytes logged", ({ loggedBytesPerRequest }) => loggedBytesPerRequest, 0],
  ];
  const bars = columns.flatMap(([column, value, digits]) => {
    const most = Math.max(...Object.values(summary).map(value));
    return Object.entries(summary).map(([variant, measured]) => ({
      column,
      variant,
      share: value(measured) / most,
      text: value(measured).toFixed(digits),
    }));
  });
  type Bar = (typeof bars)[number];
  const names = Object.fromEntries(Object.keys(summary).map((name) => [name, COLORS[name] ?? ""]));
  return beside(
    [
      plot("One provisioning, in a shared app", names, {
        height: 360,
        marginLeft: 150,
        marginRight: 60,
        x: { axis: null, domain: [0, 1] },
        y: { axis: null, domain: ["floor", "ours", "naive"] },
        fy: { label: null, domain: columns.map(([column]) => column), axis: "left" },
        marks: [
          Plot.barX(bars, {
            x: "share",
            y: "variant",
            fy: "column",
            fill: (bar: Bar) => names[bar.variant],
          }),
          Plot.text(bars, {
            x: "share",
            y: "variant",
            fy: "column",
            text: "text",
            textAnchor: "start",
            dx: 4,
          }),
        ],
      }),
    ],
    560,
    360,
  );
}

await Deno.mkdir(IMAGES, { recursive: true });
const drawings = {
  "bench-burst.svg": drawBurst(await result("burst", Burst)),
  "bench-ready.svg": drawReady(await result("ready", Ready)),
  "bench-requests.svg": drawRequests(await result("requests", Requests)),
};
for (const [name, svg] of Object.entries(drawings)) {
  await Deno.writeTextFile(new URL(name, IMAGES), svg);
  progress(`docs/images/${name}`);
}
