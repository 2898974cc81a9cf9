/** What the rows said while a request was under way. */
import type { LifeAnswer, LifeRequest } from "./callers.ts";
import type { OverdueMistake } from "./judge-rows.ts";
import type { RowVersion } from "./row-versions.ts";
import type { Truth } from "./truth.ts";

/** The states of a row between a request and its answer. */
export function versionsDuring(
  { seen }: Truth,
  request: LifeRequest,
  answer: LifeAnswer,
  machineId: string | null | undefined,
): RowVersion[] {
  return seen.versions.filter(({ row, step, untilStep }) =>
    row.machine_id === machineId && step <= answer.step && untilStep >= request.step
  );
}

/** The status in the answer was the row's, and that was true as far as it had to be. */
export function statusViolations(
  truth: Truth,
  request: LifeRequest,
  answer: LifeAnswer,
  overdue: readonly OverdueMistake[],
): string[] {
  const { machineId, status = "" } = answer.body;
  const versions = versionsDuring(truth, request, answer, machineId);
  const found: string[] = [];
  const wasSo = versions.some(({ row }) =>
    row.status === status && (row.destroy_requested_at === null || status === "provisioning")
  );
  if (!wasSo) {
    const were = versions.map(({ row }) => row.status + (row.destroy_requested_at ? "*" : ""));
    found.push(`says ${status}, and its row said ${were.join(", ") || "nothing"} (*: to go)`);
  }
  const stale = overdue.find(({ row, ofState, overdueAtMs, toMs }) =>
    ofState && row.machine_id === machineId && row.status === status &&
    overdueAtMs < request.atMs && toMs > answer.atMs
  );
  if (stale) found.push(`says ${status}, and for long its machine was ${stale.period.kind}`);
  return found;
}

export function isDeleted({ seen }: Truth, life: number | null): boolean {
  const events = seen.batch.lives[life ?? -1]?.events ?? [];
  return events.some(({ kind }) => kind === "delete-user");
}
