/** Failures by code, and live machines by status and region. */
import { regionName } from "../page/regions.ts";
import type { MachineEvent } from "./rows.ts";
import { currentTheme, endLabels, fillOf } from "./chart.ts";
import type { LegendEntry, Picture } from "./figure.ts";
import { failuresByCode } from "./outcomes.ts";
import { type Sample, sumBy } from "./prometheus.ts";

const BAR_HEIGHT_PX = 34;
const AXIS_HEIGHT_PX = 46;

/** The statuses of machines that exist, and how their bars look. */
export const LIVE_STATUSES: LegendEntry[] = [
  { name: "running", mark: "solid", colour: "blue" },
  { name: "provisioning", mark: "dots", colour: "amber" },
  { name: "stopped", mark: "hatch", colour: "blue" },
];

/** @param spanName the chosen time, such as `1 hour` */
export function failuresPicture(
  events: MachineEvent[],
  startMs: number,
  spanName: string,
): Picture {
  const theme = currentTheme();
  const codes = failuresByCode(events, startMs);
  const [worst] = codes;
  const sum = [...codes.values()].reduce((a, b) => a + b, 0);
  return {
    summary: worst
      ? `${count(sum, "attempt", "attempts")} failed in the last ${spanName}, ` +
        `most often with ${worst[0]} (${worst[1]}).`
      : `No attempt failed in the last ${spanName}.`,
    height: AXIS_HEIGHT_PX + BAR_HEIGHT_PX * Math.max(1, codes.size),
    columns: ["Code", "Failures"],
    rows: [...codes].map(([code, failures]) => [code, String(failures)]),
    configuration: {
      type: "bar",
      plugins: [endLabels],
      data: {
        labels: [...codes.keys()],
        datasets: [{
          label: "Failures",
          data: [...codes.values()],
          backgroundColor: fillOf(theme.vermilion, "hatch", theme.surface),
          borderColor: theme.vermilion,
          borderWidth: 1.5,
          maxBarThickness: 20,
        }],
      },
      options: horizontal(theme.ink),
    },
  };
}

export function machinesPicture(samples: Sample[]): Picture {
  const theme = currentTheme();
  const shown = LIVE_STATUSES.map(({ name }) => name);
  const regions = [
    ...sumBy(
      samples,
      "provision_machine_machines",
      "region",
      ({ status }) => shown.includes(status ?? ""),
    ).keys(),
  ];
  const counts = shown.map((wanted) => {
    const byRegion = sumBy(
      samples,
      "provision_machine_machines",
      "region",
      ({ status }) => status === wanted,
    );
    return regions.map((region) => byRegion.get(region) ?? 0);
  });
  const totals = counts.map((values) => values.reduce((a, b) => a + b, 0));
  return {
    summary: regions.length === 0
      ? "There is no live machine."
      : `${shown.map((status, index) => `${totals[index]} ${status}`).join(", ")} in ` +
        `${count(regions.length, "region", "regions")}.`,
    height: AXIS_HEIGHT_PX + BAR_HEIGHT_PX * Math.max(1, regions.length),
    columns: ["Region", ...shown],
    rows: regions.map((region, row) => [
      regionName(region),
      ...counts.map((values) => String(values[row] ?? 0)),
    ]),
    configuration: {
      type: "bar",
      plugins: [endLabels],
      data: {
        labels: regions,
        datasets: LIVE_STATUSES.map(({ name, mark, colour }, index) => ({
          label: name,
          data: counts[index] ?? [],
          backgroundColor: fillOf(
            theme[colour],
            mark === "hatch" || mark === "dots" ? mark : "solid",
            theme.surface,
          ),
          borderColor: theme[colour],
          borderWidth: 1.5,
          maxBarThickness: 20,
        })),
      },
      options: horizontal(theme.ink),
    },
  };
}

function horizontal(ink: string): NonNullable<Picture["configuration"]["options"]> {
  return {
    indexAxis: "y",
    // Room for the number behind the longest bar.
    layout: { padding: { right: 44 } },
    scales: {
      x: { stacked: true, beginAtZero: true, ticks: { precision: 0, maxTicksLimit: 6 } },
      y: { stacked: true, grid: { display: false }, ticks: { color: ink, font: { size: 13 } } },
    },
  };
}

function count(n: number, one: string, many: string): string {
  return `${n} ${n === 1 ? one : many}`;
}
