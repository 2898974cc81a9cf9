/** Success rate and durations over time. */
import { formatDuration } from "../page/format-time.ts";
import { currentTheme, fillOf, rateLabels } from "./chart.ts";
import type { Picture } from "./figure.ts";
import { type Bin, rateOf, type Span, total } from "./outcomes.ts";
import { percent } from "./percent.ts";

const SUCCESS_OPTIONS: NonNullable<Picture["configuration"]["options"]> = {
  interaction: { mode: "index", intersect: false },
  // Room for the percentage above the highest bar.
  layout: { padding: { top: 20 } },
  scales: {
    x: { grid: { display: false }, stacked: true, ticks: { maxRotation: 0 } },
    y: { stacked: true, beginAtZero: true, ticks: { precision: 0, maxTicksLimit: 6 } },
  },
};

/** @param shortened the events do not reach back over the whole span */
export function successPicture(bins: Bin[], span: Span, shortened: boolean): Picture {
  const labels = bins.map(({ startMs }) => labelOf(startMs, span));
  const rates = bins.map((bin) => rateOf(bin));
  return {
    summary: successSummary(bins, span, shortened),
    columns: ["From", "Succeeded", "Failed", "Success rate"],
    rows: bins.map((bin, index) => [
      labels[index] ?? "",
      String(bin.succeeded),
      String(bin.failed),
      percent(rates[index] ?? null),
    ]),
    configuration: {
      type: "bar",
      plugins: [rateLabels],
      data: {
        labels,
        datasets: successDatasets(bins),
      },
      options: SUCCESS_OPTIONS,
    },
  };
}

function successDatasets(bins: Bin[]): Picture["configuration"]["data"]["datasets"] {
  const theme = currentTheme();
  return [
    {
      label: "Succeeded",
      data: bins.map(({ succeeded }) => succeeded),
      backgroundColor: fillOf(theme.blue, "solid", theme.surface),
      maxBarThickness: 40,
    },
    {
      label: "Failed",
      data: bins.map(({ failed }) => failed),
      backgroundColor: fillOf(theme.vermilion, "hatch", theme.surface),
      borderColor: theme.vermilion,
      borderWidth: 1.5,
      maxBarThickness: 40,
    },
  ];
}

export function durationPicture(bins: Bin[], span: Span): Picture {
  const theme = currentTheme();
  const labels = bins.map(({ startMs }) => labelOf(startMs, span));
  const inSeconds = (ms: number | null) => ms === null ? null : ms / 1_000;
  const slowest = bins.reduce<Bin | undefined>(
    (worst, bin) => (bin.p95Ms ?? -1) > (worst?.p95Ms ?? -1) ? bin : worst,
    undefined,
  );
  return {
    summary: slowest?.p95Ms === null || slowest === undefined
      ? `No machine was provisioned in the last ${span.name}.`
      : `The slowest 5 % took longest from ${labelOf(slowest.startMs, span)} on: ` +
        `${formatDuration(slowest.p95Ms)}.`,
    columns: ["From", "Half took at most", "95 % took at most"],
    rows: bins.map(({ medianMs, p95Ms }, index) => [
      labels[index] ?? "",
      medianMs === null ? "–" : formatDuration(medianMs),
      p95Ms === null ? "–" : formatDuration(p95Ms),
    ]),
    configuration: {
      type: "line",
      data: {
        labels,
        datasets: [
          {
            label: "Half took at most",
            data: bins.map(({ medianMs }) => inSeconds(medianMs)),
            borderColor: theme.blue,
            backgroundColor: theme.blue,
            pointStyle: "circle",
            pointRadius: 4,
            spanGaps: true,
          },
          {
            label: "95 % took at most",
            data: bins.map(({ p95Ms }) => inSeconds(p95Ms)),
            borderColor: theme.vermilion,
            backgroundColor: theme.vermilion,
            borderDash: [6, 5],
            pointStyle: "rectRot",
            pointRadius: 5,
            spanGaps: true,
          },
        ],
      },
      options: {
        interaction: { mode: "index", intersect: false },
        scales: {
          x: { grid: { display: false }, ticks: { maxRotation: 0 } },
          y: { beginAtZero: true, ticks: { callback: (value) => `${value} s`, maxTicksLimit: 6 } },
        },
      },
    },
  };
}

function successSummary(bins: Bin[], span: Span, shortened: boolean): string {
  const { succeeded, failed, rate } = total(bins);
  if (rate === null) return `No machine was requested in the last ${span.name}.`;
  const reach = shortened ? " (older events are not shown)" : "";
  const attempts = succeeded + failed;
  const where = failed > 0 ? "; the share stands above each bar with failures" : "";
  return `${
    percent(rate)
  } of ${attempts} attempts succeeded in the last ${span.name}${reach}${where}.`;
}

function labelOf(startMs: number, { binMs }: Span): string {
  const start = new Date(startMs);
  return binMs >= 24 * 60 * 60_000
    ? start.toLocaleDateString("en-GB", { weekday: "short", day: "numeric", timeZone: "UTC" })
    : start.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}
