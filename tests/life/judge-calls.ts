/** I7: what reconcile costs at Fly.io when nothing is wrong. */
import { whatIsWrong } from "../invariants/lifecycle.ts";
import type { ReconcileRun, Violation } from "./observation.ts";
import { spanOf, type Truth } from "./truth.ts";

/** Nothing happened for so long: two runs, and what was seen in the first has been settled. */
const QUIET_MS = 3 * 61_000;

export function callViolations(truth: Truth): Violation[] {
  return truth.seen.runs.flatMap((run) => [
    ...repeatedLists(truth, run),
    ...truth.seen.batch.lives.flatMap((_, life) => needlessCalls(truth, run, life)),
  ]);
}

/** A page of a list is read once, unless that failed. */
function repeatedLists(truth: Truth, run: ReconcileRun): Violation[] {
  const lists = truth.callsOf(run).filter(({ action }) =>
    action === "organization-machines" || action === "app-list"
  );
  return lists.filter((call, index) =>
    lists.slice(0, index).some((other) =>
      other.path === call.path && other.fault === null && other.seen === "200"
    )
  ).map(({ path }) => ({ life: null, text: `I7: run ${run.number} read ${path} twice` }));
}

/** A machine of which nothing changed and nothing is due is on the list, and that is all. */
function needlessCalls(truth: Truth, run: ReconcileRun, life: number): Violation[] {
  const calls = truth.callsOf(run).filter((call) => call.upstream === "fly" && call.life === life);
  const span = spanOf(run.request);
  const [call] = calls;
  if (call === undefined || span === null) return [];
  return isQuiet(truth, life, span.fromMs, span.toMs)
    ? [{
      life,
      text: `I7: nothing was wrong, and run ${run.number} called ${call.method} ${call.path} ` +
        `(at ${call.sentAtMs})`,
    }]
    : [];
}

function isQuiet(truth: Truth, life: number, fromMs: number, toMs: number): boolean {
  const { seen } = truth;
  const machines = truth.machines.filter(({ name }) => truth.lifeOf(name) === life);
  const lagMs = Math.max(0, ...machines.map((machine) => machine.lagMs));
  const sinceMs = fromMs - QUIET_MS - lagMs;
  if (sinceMs < seen.startMs || truth.isBusy(life, sinceMs, toMs)) return false;
  if (truth.hostWasAway(life, sinceMs, toMs)) return false;
  const happened =
    machines.some(({ history }) => history.some(({ at }) => at >= sinceMs && at <= toMs)) ||
    seen.deeds.some((deed) => deed.life === life && deed.atMs >= sinceMs && deed.atMs <= toMs);
  if (happened) return false;
  const versions = seen.versions.filter(({ row }) => truth.lifeOf(row.machine_id) === life);
  if (versions.some(({ atMs }) => atMs >= sinceMs && atMs <= toMs)) return false;
  const runs = seen.runs.filter(({ request }) => request.atMs >= sinceMs && request.atMs <= fromMs);
  const allClear = runs.every(({ request }) =>
    machines.every((machine) =>
      truth.clearRuns(life, machine.region, true).some((run) => run.fromMs === request.atMs)
    )
  );
  if (!allClear) return false;
  // Nothing is due, and every row is true.
  return versions.filter(({ atMs, untilMs }) => atMs <= fromMs && untilMs > toMs)
    .every(({ row }) => {
      const machine = truth.machine(row.fly_machine_id);
      const kind = machine?.periods.findLast((period) => period.fromMs <= fromMs)?.kind ?? "gone";
      const isOpen = row.status === "provisioning" || row.reconcile_at !== null ||
        (row.destroy_requested_at !== null && row.status !== "destroyed");
      return !isOpen && whatIsWrong(row, kind) === null;
    });
}
