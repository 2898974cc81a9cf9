/** I5: a failure that no response reported is an error in the log. */
import type { LifeRequest } from "./callers.ts";
import type { RowVersion } from "./row-versions.ts";
import type { Truth } from "./truth.ts";
import type { Violation } from "./observation.ts";

/** Machines that crashed, failed or vanished, and interrupted requests, that no error names. */
export function silentFailures(truth: Truth): Violation[] {
  const { seen } = truth;
  const errors = seen.lines.filter(({ method }) => method === "error").map(({ line }) => line);
  return seen.versions.flatMap((version) => {
    const { row, atMs } = version;
    const what = unseenFailure(version);
    if (what === null) return [];
    const writers = seen.requests.filter((request) => mayHaveWritten(request, atMs));
    // One whose isolate ended could not log it any more.
    if (writers.some(({ answer }) => typeof answer !== "object")) return [];
    const logged = errors.some((line) =>
      line.includes(row.machine_id) &&
      writers.some(({ requestId }) => line.includes(`"requestId":"${requestId}"`))
    );
    return logged ? [] : [{
      life: truth.lifeOf(row.machine_id) ?? null,
      text: `I5: ${row.machine_id} ${what}, and no error was logged (at ${atMs})`,
    }];
  });
}

function unseenFailure({ row, before }: RowVersion): string | null {
  if (before === null || before.status === row.status) return null;
  const wasLive = before.status === "running" || before.status === "stopped";
  if (row.status === "error" && (wasLive || row.error_code === "interrupted")) {
    return `ended as ${row.error_code}`;
  }
  const reason = row.stop_reason ?? "";
  return row.status === "stopped" && /exit|memory|oom/i.test(reason) && !/\b0\b/.test(reason)
    ? `stopped because of ${reason}`
    : null;
}

function mayHaveWritten({ atMs: fromMs, answer }: LifeRequest, atMs: number): boolean {
  const toMs = typeof answer === "object" ? answer.atMs : fromMs + 75_000;
  return fromMs <= atMs && atMs <= toMs;
}
