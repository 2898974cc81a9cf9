/**
 * Rows whose machine is in another state than they say: it stopped, or Fly Proxy started it. The list
 * shows which; only those are asked for.
 */
import { originOf } from "../database/machines.ts";
import type { LiveMachine } from "../database/rows.ts";
import { lastChangeAt, newestExit } from "../fly/exit-event.ts";
import { type FlyMachine, getMachine } from "../fly/machines.ts";
import { isWantedStop, stopReasonOf } from "../lifecycle/stop-reason.ts";
import { inParallel } from "../time.ts";
import { forOneItem, type ReconcileContext } from "./context.ts";

const PARALLEL = 4;
/** Each costs a call to Fly.io; the rest waits for the next run. */
const MAX_PER_RUN = 200;
/** The list and the machine's own answer may be older than a change that a request has just written. */
const UNCHANGED_FOR_MS = 20_000;

/** What each state at Fly.io makes of a live row; in others the machine is on its way, or failed. */
const STATUS_OF: Readonly<Record<string, LiveMachine["status"]>> = {
  started: "running",
  stopped: "stopped",
  suspended: "stopped",
};

/** Whether the row has to follow the state of its machine. */
export function differs(state: string, row: LiveMachine): boolean {
  const should = STATUS_OF[state];
  if (should === undefined) return false;
  if (should !== row.status) return true;
  // It slept in another way before, and no run saw it awake in between.
  return row.status === "stopped" && (state === "suspended") !== (row.stop_reason === "suspended");
}

/** `rows`: those that {@link differs} from the list. */
export async function followStates(
  context: ReconcileContext,
  rows: readonly LiveMachine[],
): Promise<void> {
  const { runtime, deadline, report } = context;
  // With more than one run can follow, every run begins somewhere else.
  const start = Math.floor(runtime.random() * rows.length);
  const turn = rows.length > MAX_PER_RUN
    ? [...rows.slice(start), ...rows.slice(0, start)].slice(0, MAX_PER_RUN)
    : rows;
  await inParallel(PARALLEL, turn, async (row) => {
    if (deadline.passed()) return;
    try {
      const item = forOneItem(context);
      const seen = await getMachine(item.fly, row.fly_app_name, row.fly_machine_id, {
        deadline: item.deadline,
      });
      // What Fly.io does not know is looked for as a lost machine.
      if (seen !== null) await followState(item, row, seen);
    } catch (error) {
      const ids = { machineId: row.machine_id, flyMachineId: row.fly_machine_id };
      report.fail("a machine's state could not be followed", error, ids);
    }
  });
}

/** `seen`: the machine's own answer. */
export async function followState(
  context: ReconcileContext,
  row: LiveMachine,
  seen: FlyMachine,
): Promise<void> {
  const { changes, settings, deadline, report } = context;
  if (!differs(seen.state, row)) return;
  const { id, machine_id: machineId, fly_machine_id: flyMachineId } = row;
  const unchangedForMs = UNCHANGED_FOR_MS;
  const happenedAt = lastChangeAt(seen.events ?? []);
  const origin = {
    ...originOf(context),
    detail: { flyState: seen.state, ...(happenedAt === undefined ? {} : { happenedAt }) },
  };
  if (seen.state === "started") {
    const marked = await changes.markStarted({ id, unchangedForMs }, origin, deadline);
    if (marked.outcome === "applied") {
      report.add({ action: "started", machineId, flyMachineId, reason: "at Fly.io" });
    }
    return;
  }
  // Between two attempts of its restart policy.
  if (seen.state === "stopped" && newestExit(seen.events ?? [])?.restarting) return;
  const stopsWhenIdle = (settings.MACHINE_AUTOSTOP ?? "off") !== "off";
  const reason = stopReasonOf(seen, stopsWhenIdle);
  const marked = await changes.markStopped({ id, reason, unchangedForMs }, origin, deadline);
  if (marked.outcome !== "applied" || marked.machine.status !== "stopped") return;
  const { stop_reason: recorded } = marked.machine;
  report.add({
    action: isWantedStop(recorded) ? "stopped" : "crashed",
    machineId,
    flyMachineId,
    reason: recorded,
  });
}
