/**
 * The ledger, once a machine is gone: no interval of it is open, and `machine_usage` is no further from
 * how long the machine was up than the row was.
 */
import type { TrueMachine, Truth } from "./truth.ts";
import type { Usage, Violation } from "./observation.ts";
import type { RowVersion } from "./row-versions.ts";

/** What the view rounds, and a transition takes from its moment to its event. */
const TOLERANCE_MS = 1_000;
/** Events after which a machine neither runs nor is stopped. */
const ENDS = ["destroyed", "machine_lost", "failed", "interrupted"];
/** Events that begin or end an interval, as the view reads them. */
const STATES = ["running", "adopted", "started", "stopped", "crashed", ...ENDS];

export function ledgerViolations(truth: Truth): Violation[] {
  const { seen } = truth;
  const versionsOf = Map.groupBy(seen.versions, ({ row }) => row.id);
  const usageOf = new Map(seen.usage.map((usage) => [usage.machineId, usage]));
  return [...versionsOf.values()].flatMap((versions) => {
    const row = versions.at(-1)?.row;
    if (row === undefined || (row.status !== "error" && row.status !== "destroyed")) return [];
    const names = [row.machine_id, ...versions.map((version) => version.row.machine_id)];
    const machines = truth.machines.filter(({ name }) => names.includes(name));
    if (machines.some(({ periods }) => periods.at(-1)?.kind !== "gone")) return [];
    const life = truth.lifeOf(row.machine_id) ?? null;
    const usage = usageOf.get(row.machine_id) ??
      { machineId: row.machine_id, runningMs: 0, stoppedMs: 0 };
    return [
      ...openInterval(truth, row.id, row.machine_id),
      ...wrongTime(usage, machines, versions),
    ].map((text) => ({ life, text }));
  });
}

function openInterval({ seen }: Truth, rowId: string, machineId: string): string[] {
  const last = seen.events.findLast(({ cloud_machine_id, kind }) =>
    cloud_machine_id === rowId && STATES.includes(kind)
  );
  if (last === undefined || ENDS.includes(last.kind)) return [];
  if (last.kind === "crashed" && last.error_code !== "machine_stopped") return [];
  return [`ledger: ${machineId} is gone, and its last interval, ${last.kind}, is open`];
}

function wrongTime(
  { machineId, runningMs }: Usage,
  machines: readonly TrueMachine[],
  versions: readonly RowVersion[],
): string[] {
  const up = machines.flatMap(({ periods }) => periods.filter(({ kind }) => kind === "up"));
  const running = versions.filter(({ row }) => row.status === "running")
    .map(({ atMs, untilMs }) => ({ fromMs: atMs, toMs: untilMs }));
  const ranMs = lengthOf(up);
  const bothMs = up.reduce(
    (sum, one) => sum + running.reduce((all, other) => all + overlap(one, other), 0),
    0,
  );
  const rowWasWrongMs = ranMs + lengthOf(running) - 2 * bothMs;
  const offMs = runningMs - ranMs;
  return Math.abs(offMs) <= rowWasWrongMs + TOLERANCE_MS ? [] : [
    `ledger: ${machineId} ran ${ranMs} ms, its ledger says ${runningMs}, and its row was wrong for ${rowWasWrongMs}`,
  ];
}

interface Span {
  fromMs: number;
  toMs: number;
}

function lengthOf(spans: readonly Span[]): number {
  return spans.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0);
}

function overlap(one: Span, other: Span): number {
  return Math.max(0, Math.min(one.toMs, other.toMs) - Math.max(one.fromMs, other.fromMs));
}
