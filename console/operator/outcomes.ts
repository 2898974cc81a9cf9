/** Provisioning attempts per bin of time: how many succeeded, and how long those took. */
import type { MachineEvent } from "./rows.ts";

export interface Bin {
  /** Milliseconds since the epoch; the bin ends where the next one begins. */
  startMs: number;
  succeeded: number;
  failed: number;
  /** Of those that succeeded; null when none did. */
  medianMs: number | null;
  p95Ms: number | null;
}

export interface Span {
  name: string;
  binMs: number;
  bins: number;
}

const MINUTE = 60_000;
export const SPANS: readonly Span[] = [
  { name: "15 minutes", binMs: MINUTE, bins: 15 },
  { name: "1 hour", binMs: 5 * MINUTE, bins: 12 },
  { name: "24 hours", binMs: 60 * MINUTE, bins: 24 },
  { name: "7 days", binMs: 24 * 60 * MINUTE, bins: 7 },
];

// `adopted` and `interrupted`: how reconcile closed an attempt whose request had died.
const SUCCEEDED = ["running", "adopted"];
const FAILED = ["failed", "interrupted"];

/** When the first bin of a span begins, in milliseconds since the epoch. */
export function startOf(span: Span, nowMs: number): number {
  return (Math.floor(nowMs / span.binMs) + 1 - span.bins) * span.binMs;
}

/** Failed attempts per error code from `startMs` on, most frequent first. */
export function failuresByCode(events: MachineEvent[], startMs: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { kind, error_code, created_at } of events) {
    if (!FAILED.includes(kind) || Date.parse(created_at) < startMs) continue;
    const code = error_code ?? kind;
    counts.set(code, (counts.get(code) ?? 0) + 1);
  }
  return new Map([...counts].sort((a, b) => b[1] - a[1]));
}

/** Bins that end with the one which holds `nowMs`, oldest first. */
export function binOutcomes(events: MachineEvent[], span: Span, nowMs: number): Bin[] {
  const end = Math.floor(nowMs / span.binMs) + 1;
  const bins = Array.from({ length: span.bins }, (_, index) => ({
    startMs: (end - span.bins + index) * span.binMs,
    succeeded: 0,
    failed: 0,
    durationsMs: [] as number[],
  }));
  for (const { kind, created_at, duration_ms } of events) {
    const bin = bins[Math.floor(Date.parse(created_at) / span.binMs) - (end - span.bins)];
    if (bin === undefined) continue;
    if (FAILED.includes(kind)) bin.failed++;
    if (!SUCCEEDED.includes(kind)) continue;
    bin.succeeded++;
    // The time until reconcile found a machine says nothing about provisioning.
    if (kind === "running" && duration_ms !== null) bin.durationsMs.push(duration_ms);
  }
  return bins.map(({ durationsMs, ...bin }) => ({
    ...bin,
    medianMs: quantile(durationsMs, 0.5),
    p95Ms: quantile(durationsMs, 0.95),
  }));
}

/** The sum of all bins. */
export function total(bins: Bin[]): { succeeded: number; failed: number; rate: number | null } {
  const succeeded = bins.reduce((sum, bin) => sum + bin.succeeded, 0);
  const failed = bins.reduce((sum, bin) => sum + bin.failed, 0);
  return { succeeded, failed, rate: rateOf({ succeeded, failed }) };
}

/** Share of attempts that succeeded, 0 to 1; null when there were none. */
export function rateOf({ succeeded, failed }: Pick<Bin, "succeeded" | "failed">): number | null {
  return succeeded + failed === 0 ? null : succeeded / (succeeded + failed);
}

/** The nearest-rank quantile; null of nothing. */
export function quantile(values: number[], q: number): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? null;
}
