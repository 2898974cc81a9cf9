/** Observable Plot without a browser, in the look that the project's charts share. */
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";

export const COLORS: Record<string, string> = {
  ours: "#2f6fb0",
  naive: "#d64545",
  floor: "#8a8f98",
  retry: "#d64545",
  jitter: "#d9a21b",
};

/** An SVG element as text. `names` explains the colours, in one line under the title. */
export function plot(
  title: string,
  names: Record<string, string>,
  options: Plot.PlotOptions,
): string {
  // Deno's types know no DOM, and so neither do linkedom's here.
  const { document } = parseHTML("<!doctype html><html><body></body></html>") as unknown as {
    document: NonNullable<Plot.PlotOptions["document"]>;
  };
  let dx = -40;
  const legend = Object.entries(names).flatMap(([name, color]) => {
    const at = dx;
    dx += 24 + name.length * 6.5;
    const place = { frameAnchor: "top-left" as const, facet: "super" as const, dy: -18 };
    return [
      Plot.text(["■"], { ...place, dx: at, fontSize: 13, fill: color }),
      Plot.text([name], { ...place, dx: at + 12, fill: "#333" }),
    ];
  });
  const svg = Plot.plot({
    document,
    width: 560,
    height: 260,
    marginTop: 48,
    marginLeft: 48,
    style: { fontFamily: "system-ui, sans-serif", fontSize: "11px", background: "white" },
    ...options,
    marks: [
      ...options.marks ?? [],
      ...legend,
      Plot.text([title], {
        frameAnchor: "top-left",
        facet: "super",
        dy: -40,
        dx: -40,
        fontSize: 14,
        fontWeight: 600,
      }),
    ],
  });
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return svg.outerHTML;
}

/** Several SVGs of the same size beside each other. */
export function beside(charts: string[], width = 560, height = 260): string {
  const gap = 16;
  const whole = charts.length * (width + gap) + gap;
  const placed = charts.map((svg, index) =>
    svg.replace("<svg ", `<svg x="${gap + index * (width + gap)}" y="${gap}" `)
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${whole} ${height + 2 * gap}" ` +
    `width="${whole}" height="${
      height + 2 * gap
    }">\n<rect width="100%" height="100%" fill="white"/>\n` +
    `${placed.join("\n")}\n</svg>\n`;
}
