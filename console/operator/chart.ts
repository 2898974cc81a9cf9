/** Chart.js with the parts that are used, in the page's colours, and patterns beside them. */
import {
  BarController,
  BarElement,
  CategoryScale,
  Chart,
  type ChartConfiguration,
  LinearScale,
  LineController,
  LineElement,
  PointElement,
  Tooltip,
} from "chart.js";

Chart.register(
  BarController,
  BarElement,
  CategoryScale,
  LinearScale,
  LineController,
  LineElement,
  PointElement,
  Tooltip,
);

export type Pattern = "solid" | "hatch" | "dots";

/** Blue and vermilion are from Okabe and Ito's palette for colour-blind readers. */
export interface Theme {
  blue: string;
  vermilion: string;
  amber: string;
  ink: string;
  muted: string;
  grid: string;
  surface: string;
}

const LIGHT: Theme = {
  blue: "#0072b2",
  vermilion: "#c44601",
  amber: "#b37400",
  ink: "#12181f",
  muted: "#536070",
  grid: "#e3e8ee",
  surface: "#ffffff",
};
const DARK: Theme = {
  blue: "#56b4e9",
  vermilion: "#ff8a4c",
  amber: "#f0c060",
  ink: "#e9eef4",
  muted: "#a3b0be",
  grid: "#2a3541",
  surface: "#141b23",
};

export function currentTheme(): Theme {
  return matchMedia("(prefers-color-scheme: dark)").matches ? DARK : LIGHT;
}

/** Calls back whenever the system switches between light and dark. */
export function onThemeChange(listener: () => void, signal: AbortSignal): void {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", listener, { signal });
}

/** A fill that differs in its pattern as well as its colour. */
export function fillOf(colour: string, pattern: Pattern, ground: string): string | CanvasPattern {
  if (pattern === "solid") return colour;
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const context = tile.getContext("2d");
  if (!context) return colour;
  context.fillStyle = ground;
  context.fillRect(0, 0, 8, 8);
  context.strokeStyle = context.fillStyle = colour;
  context.lineWidth = 2.4;
  if (pattern === "hatch") {
    for (const offset of [-8, 0, 8]) {
      context.moveTo(offset - 1, 9);
      context.lineTo(offset + 9, -1);
    }
    context.stroke();
  } else {
    for (const [x, y] of [[2, 2], [6, 6]] as const) {
      context.beginPath();
      context.arc(x, y, 1.5, 0, 2 * Math.PI);
      context.fill();
    }
  }
  return context.createPattern(tile, "repeat") ?? colour;
}

/** Writes each bar's length behind it. */
export const endLabels = {
  id: "endLabels",
  afterDatasetsDraw(chart: Chart): void {
    const { ctx } = chart;
    const totals = new Map<number, { x: number; y: number; value: number }>();
    for (const [index, dataset] of chart.data.datasets.entries()) {
      for (const [row, element] of chart.getDatasetMeta(index).data.entries()) {
        const value = Number(dataset.data[row] ?? 0);
        const { x, y } = element.getProps(["x", "y"], true);
        const sum = (totals.get(row)?.value ?? 0) + value;
        totals.set(row, { x: Math.max(x, totals.get(row)?.x ?? 0), y, value: sum });
      }
    }
    ctx.save();
    ctx.font = `600 13px ${Chart.defaults.font.family}`;
    ctx.fillStyle = currentTheme().ink;
    ctx.textBaseline = "middle";
    for (const { x, y, value } of totals.values()) ctx.fillText(String(value), x + 8, y);
    ctx.restore();
  },
};

/** Writes the share that succeeded above each bar with failures, where there is room. */
export const rateLabels = {
  id: "rateLabels",
  afterDatasetsDraw(chart: Chart): void {
    const { ctx } = chart;
    const [succeeded, failed] = chart.data.datasets.map(({ data }) => data.map(Number));
    ctx.save();
    ctx.font = `600 12px ${Chart.defaults.font.family}`;
    ctx.fillStyle = currentTheme().vermilion;
    ctx.textAlign = "center";
    let taken = -Infinity;
    for (const [index, bar] of chart.getDatasetMeta(1).data.entries()) {
      const good = succeeded?.[index] ?? 0;
      const bad = failed?.[index] ?? 0;
      if (bad === 0) continue;
      const text = `${Math.floor(good / (good + bad) * 100)} %`;
      const { x, y } = bar.getProps(["x", "y"], true);
      const half = ctx.measureText(text).width / 2;
      if (x - half < taken) continue;
      ctx.fillText(text, x, y - 7);
      taken = x + half + 4;
    }
    ctx.restore();
  },
};

/** Draws a chart, without animation. */
export function draw(canvas: HTMLCanvasElement, configuration: ChartConfiguration): Chart {
  const theme = currentTheme();
  Chart.defaults.color = theme.muted;
  Chart.defaults.borderColor = theme.grid;
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.font.size = 12.5;
  return new Chart(canvas, {
    ...configuration,
    options: {
      ...configuration.options,
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
    },
  });
}
