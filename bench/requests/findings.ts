/** Turns measurements into a table and decides whether the goals are met. */
import type { Goal } from "../support/report.ts";
import { median, type Spread, spread } from "../support/statistics.ts";
import type { Mode, Variant } from "./contenders.ts";
import type { Load } from "./load.ts";

const GOALS = { p50OverFloor: 1.05, cpuOverFloor: 2 };
const MIB = 1024 * 1024;

/** Everything measured of one variant. */
export interface Measured {
  calm: Load[];
  busy: Load[];
  /** Resident bytes after a total number of requests. */
  memory: { requests: number; bytes: number }[];
  callsPerRequest: Record<string, number>;
}

export type Summaries = Partial<Record<Variant, Summary>>;

/** One variant in one line. Spreads are over the rounds; latency's is over its requests. */
export interface Summary {
  latencyMs: Spread;
  cpuMsPerRequest: Spread;
  requestsPerSecond: Spread;
  loggedBytesPerRequest: number;
  residentMiB: number;
  requestsInAll: number;
}

export function summarize({ calm, busy, memory }: Measured): Summary {
  return {
    latencyMs: spread(calm.flatMap(({ latenciesMs }) => latenciesMs)),
    cpuMsPerRequest: spread(busy.map(({ cpuMsPerRequest }) => cpuMsPerRequest)),
    requestsPerSecond: spread(busy.map(({ requestsPerSecond }) => requestsPerSecond)),
    loggedBytesPerRequest: median(busy.map(({ loggedBytesPerRequest }) => loggedBytesPerRequest)),
    residentMiB: (memory.at(-1)?.bytes ?? 0) / MIB,
    requestsInAll: memory.at(-1)?.requests ?? 0,
  };
}

export function tableRow(name: string, summary: Summary): Record<string, string | number> {
  const { latencyMs, cpuMsPerRequest: cpu, requestsPerSecond: rate } = summary;
  return {
    variant: name,
    "p50 ms": latencyMs.median.toFixed(1),
    "p99 ms": latencyMs.p99.toFixed(1),
    "CPU ms/request": `${cpu.median.toFixed(2)} (${cpu.min.toFixed(2)}–${cpu.max.toFixed(2)})`,
    "requests/s, 1 core": `${rate.median.toFixed(0)} (${rate.min.toFixed(0)}–${
      rate.max.toFixed(0)
    })`,
    [`MiB after ${summary.requestsInAll}`]: summary.residentMiB.toFixed(0),
    "bytes logged": summary.loggedBytesPerRequest.toFixed(0),
  };
}

/** What is demanded in each mode, and of the shared app that ours is ahead of the naive version. */
export function goals(mode: Mode, { floor, naive, ours }: Summaries): Goal[] {
  if (floor === undefined || ours === undefined) throw new Error(`${mode} was not measured`);
  const p50 = ours.latencyMs.median / floor.latencyMs.median;
  const cpu = ours.cpuMsPerRequest.median / floor.cpuMsPerRequest.median;
  return [
    {
      goal: `${mode}: p50 at most ${GOALS.p50OverFloor} × floor`,
      measured: `${p50.toFixed(3)} ×`,
      met: p50 <= GOALS.p50OverFloor,
    },
    {
      goal: `${mode}: CPU at most ${GOALS.cpuOverFloor} × floor`,
      measured: `${cpu.toFixed(2)} ×`,
      met: cpu <= GOALS.cpuOverFloor,
    },
    ...(naive === undefined ? [] : aheadOfNaive(naive, ours)),
  ];
}

function aheadOfNaive(naive: Summary, ours: Summary): Goal[] {
  const columns: [string, (summary: Summary) => number, "less" | "more"][] = [
    ["p50 ms", ({ latencyMs }) => latencyMs.median, "less"],
    ["p99 ms", ({ latencyMs }) => latencyMs.p99, "less"],
    ["CPU ms", ({ cpuMsPerRequest }) => cpuMsPerRequest.median, "less"],
    ["requests/s", ({ requestsPerSecond }) => requestsPerSecond.median, "more"],
    ["MiB", ({ residentMiB }) => residentMiB, "less"],
    ["bytes logged", ({ loggedBytesPerRequest }) => loggedBytesPerRequest, "less"],
  ];
  return columns.map(([column, value, better]) => ({
    goal: `ahead of naive: ${column}`,
    measured: `${value(ours).toFixed(1)} against ${value(naive).toFixed(1)}`,
    met: better === "less" ? value(ours) < value(naive) : value(ours) > value(naive),
  }));
}
