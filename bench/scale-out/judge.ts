/** How many machines each user and each key must have, also when some calls failed truthfully. */
import type { Call } from "../../tests/invariants/evidence.ts";
import type { SettledSystem } from "../../tests/invariants/settled-system.ts";

/** How many machines of a user run. */
export function machinesOf({ rows }: Pick<SettledSystem, "rows">, userId: string): number {
  return rows.filter(({ user_id, status }) => user_id === userId && status === "running").length;
}

/** How many keys got a machine. */
export function keysServed(calls: readonly Call[]): number {
  return byKey(calls).filter((pair) => pair.some(succeeded)).length;
}

/**
 * A user has as many machines as allowed when the calls have ended and reconcile has run. A
 * failed call is truthful and frees its place, so each key in `calls` with nothing but failures
 * excuses one missing machine. Nothing excuses an extra one.
 */
export function wrongCounts(
  state: Pick<SettledSystem, "rows">,
  calls: readonly Call[],
  allowed: number,
): string[] {
  return [...Map.groupBy(calls, ({ userId = "" }) => userId)].flatMap(([userId, own]) => {
    const failures = byKey(own).filter((pair) => pair.some(hasFailed) && !pair.some(succeeded));
    const machines = machinesOf(state, userId);
    return machines <= allowed && machines >= allowed - failures.length
      ? []
      : [`${userId} has ${machines} machines, and ${failures.length} of its keys failed`];
  });
}

/**
 * Calls with one key get one answer. Two answers may stand beside another one: that the outcome is not
 * known, and that there was no place, if a failure of the same user freed one since.
 */
export function splitAnswers(calls: readonly Call[]): string[] {
  const withFailures = new Set(calls.filter(hasFailed).map(({ userId }) => userId));
  return byKey(calls).flatMap((pair) => {
    const answers = pair.filter((call) =>
      !isUnknown(call) && !(isRefused(call) && withFailures.has(call.userId))
    ).map(answerOf);
    return new Set(answers).size <= 1 ? [] : [`one key, two answers: ${answers.join(" and ")}`];
  });
}

/** Calls that were not answered while their caller waited. */
export function unanswered(calls: readonly Call[]): string[] {
  return calls.filter(({ answer }) => answer === null)
    .map(({ key, leaveAfterMs }) => `${key} got no answer within ${leaveAfterMs} ms`);
}

/** The limit's refusal names any live machine, so only the status counts. */
function answerOf(call: Call): string {
  return succeeded(call) ? `200 ${bodyOf(call).machineId}` : String(call.answer?.status);
}

function isUnknown(call: Call): boolean {
  return hasFailed(call) && bodyOf(call).retry === "same_key";
}

const byKey = (calls: readonly Call[]) => [...Map.groupBy(calls, ({ key }) => key).values()];
const succeeded = ({ answer }: Call) => answer?.status === 200;
const isRefused = ({ answer }: Call) => answer?.status === 409;
const hasFailed = ({ answer }: Call) => (answer?.status ?? 0) >= 500;
const bodyOf = ({ answer }: Call) => JSON.parse(answer?.text ?? "{}");
