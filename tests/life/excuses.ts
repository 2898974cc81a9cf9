/** Whether something went wrong, by the test's own doing, that explains a failure. */
import type { LifeAnswer, LifeRequest } from "./callers.ts";
import { kindsDuring, type Truth } from "./truth.ts";

export function hasExcuse(truth: Truth, request: LifeRequest, answer: LifeAnswer): boolean {
  const { seen } = truth;
  const life = request.life ?? -1;
  const fromMs = request.atMs;
  const toMs = answer.atMs;
  const faultyCall = seen.calls.some((call) =>
    call.run === null && call.sentStep >= request.step && call.sentStep <= answer.step &&
    (call.life === life || call.isolate.startsWith(`life ${life},`)) &&
    (call.fault !== null || call.omitted.length > 0 || call.seen === "429")
  );
  const overcast = seen.batch.weather.some(({ kind, atMs, forMs }) =>
    kind !== "silent-region" && kind !== "reconcile-faults" &&
    seen.startMs + atMs <= toMs &&
    (kind === "app-deleted" || seen.startMs + atMs + forMs >= fromMs)
  );
  // It ended, or was changed by someone else, while the request waited for it.
  const machines = truth.machines.filter(({ name }) => truth.lifeOf(name) === life);
  const failed = machines.some((machine) => {
    const kinds = kindsDuring(machine, fromMs - machine.lagMs, toMs);
    return kinds.has("failed") || kinds.has("gone");
  });
  const deeds = seen.deeds.some((deed) =>
    deed.life === life && deed.effect && deed.atMs + deed.forMs >= fromMs - 5_000 &&
    deed.atMs <= toMs
  );
  return faultyCall || overcast || failed || deeds || truth.hostWasAway(life, fromMs, toMs) ||
    truth.isBusy(life, fromMs, toMs, request);
}
