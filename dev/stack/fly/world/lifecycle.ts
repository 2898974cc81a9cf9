/** What happens to a Machine from its launch to its end, written down as transitions. */
import type { MachineFault } from "../../faults.ts";
import type { Machine } from "./machine.ts";
import type { Transition } from "./types.ts";

export interface LaunchPlan {
  nowMs: number;
  /** How long until `started`, in milliseconds. */
  startDelayMs: number;
  /** How long a destruction takes, in milliseconds (for a Machine that destroys itself). */
  destroyDelayMs: number;
  /** After how long of being up it is stopped by a trial; null for never. */
  lifetimeMs: number | null;
  /** What goes wrong with this Machine. */
  machineFaults: readonly MachineFault[];
}

/** A new Machine comes up: `created`, halfway `starting`, then `started`. */
export function launch(machine: Machine, plan: LaunchPlan): void {
  start(machine, plan, plan.nowMs + Math.floor(startDelayMs(plan) / 2));
}

/** A stopped Machine comes up: `starting` at once, then `started`. */
export function start(machine: Machine, plan: LaunchPlan, startingAtMs: number = plan.nowMs): void {
  const startedAtMs = Math.max(startingAtMs, plan.nowMs + startDelayMs(plan));
  const never = plan.machineFaults.find((fault) => fault.kind === "never-starts");
  const transitions: Transition[] = [];
  if (never?.state !== "created") {
    transitions.push(machine.transition(startingAtMs, "starting", {
      type: "start",
      status: "starting",
      source: "user",
    }));
  }
  if (never === undefined) {
    transitions.push(machine.transition(startedAtMs, "started", {
      type: "start",
      status: "started",
      source: "flyd",
    }));
  }
  if (never === undefined && plan.lifetimeMs !== null) {
    // That it looks as if it was asked for is not published.
    const exit = { requested_stop: true };
    const event = { type: "exit", status: "stopped", source: "flyd", exit } as const;
    transitions.push(machine.transition(startedAtMs + plan.lifetimeMs, "stopped", event));
  }
  machine.reschedule(plan.nowMs, transitions);
  const failure = plan.machineFaults.find((fault) => fault.kind === "fails");
  if (failure) {
    const atMs = failure.afterMs === undefined ? startedAtMs : plan.nowMs + failure.afterMs;
    fail(machine, plan.nowMs, atMs, failure, plan.destroyDelayMs);
  }
}

function startDelayMs(plan: LaunchPlan): number {
  const scripted = plan.machineFaults.find((fault) => fault.kind === "slow-start");
  return scripted?.ms ?? plan.startDelayMs;
}

/**
 * The Machine's main process ends, or the VM never boots. From `atMs` on nothing else happens, except
 * that a Machine with `auto_destroy` is destroyed, and so is one whose launch failed (documented:
 * `launch_failed` "will transition to destroyed").
 */
export function fail(
  machine: Machine,
  nowMs: number,
  atMs: number,
  failure: Omit<Extract<MachineFault, { kind: "fails" }>, "kind" | "afterMs">,
  destroyDelayMs: number,
): void {
  const { state = "failed", exitCode = 1, reason = "" } = failure;
  const transitions = [
    machine.transition(atMs, state, {
      type: "exit",
      status: state,
      source: "flyd",
      exit: { exit_code: exitCode, error: reason, guest_error: reason },
    }),
  ];
  if (state === "launch_failed" || machine.identity.config.auto_destroy === true) {
    transitions.push(...destruction(machine, atMs, destroyDelayMs, "flyd"));
  }
  machine.rescheduleFrom(nowMs, atMs, transitions);
}

/** The Machine is stopped: `stopping`, then `stopped`. A suspended one loses its snapshot. */
export function stop(machine: Machine, nowMs: number, stopDelayMs: number): void {
  machine.reschedule(nowMs, [
    machine.transition(nowMs, "stopping", { type: "stop", status: "stopping", source: "user" }),
    machine.transition(nowMs + stopDelayMs, "stopped", {
      type: "exit",
      status: "stopped",
      source: "flyd",
      exit: { requested_stop: true },
    }),
  ]);
}

/** The Machine is suspended: `suspending`, then `suspended`. */
export function suspend(machine: Machine, nowMs: number, suspendDelayMs: number): void {
  machine.reschedule(nowMs, [
    machine.transition(nowMs, "suspending", {
      type: "suspend",
      status: "suspending",
      source: "user",
    }),
    machine.transition(nowMs + suspendDelayMs, "suspended", {
      type: "suspend",
      status: "suspended",
      source: "flyd",
    }),
  ]);
}

/** The Machine is started again: `restarting`, then `started`. */
export function restart(machine: Machine, nowMs: number, restartDelayMs: number): void {
  machine.reschedule(nowMs, [
    machine.transition(nowMs, "restarting", {
      type: "exit",
      status: "stopped",
      source: "flyd",
      exit: { requested_stop: true },
    }),
    machine.transition(nowMs + restartDelayMs, "started", {
      type: "start",
      status: "started",
      source: "flyd",
    }),
  ]);
}

/** The Machine gets another config: `replacing`, then what it was, by way of `starting` if it was up. */
export function replace(
  machine: Machine,
  nowMs: number,
  replaceDelayMs: number,
  startDelayMs: number | null,
): void {
  const replacedAtMs = nowMs + replaceDelayMs;
  const transition = (at: number, state: "replacing" | "stopped") =>
    machine.transition(at, state, { type: "update", status: state, source: "user" });
  const started = { type: "start", status: "started", source: "flyd" } as const;
  machine.reschedule(nowMs, [
    transition(nowMs, "replacing"),
    ...(startDelayMs === null ? [transition(replacedAtMs, "stopped")] : [
      machine.transition(replacedAtMs, "starting"),
      machine.transition(replacedAtMs + startDelayMs, "started", started),
    ]),
  ]);
}

/**
 * The Machine is destroyed: `destroying`, then `destroyed`.
 *
 * @param destroyDelayMs null when its host is away: it stays `destroying`.
 */
export function destroy(machine: Machine, nowMs: number, destroyDelayMs: number | null): void {
  machine.reschedule(nowMs, destruction(machine, nowMs, destroyDelayMs, "user"));
}

/** The exit of a Machine that was up stands behind the destroy event in `events` (recorded). */
export function destruction(
  machine: Machine,
  atMs: number,
  destroyDelayMs: number | null,
  source: "user" | "flyd",
): Transition[] {
  const destroying = machine.transition(atMs, "destroying", {
    type: "destroy",
    status: "destroying",
    source,
  });
  if (destroyDelayMs === null) return [destroying];
  const endMs = atMs + destroyDelayMs;
  const up = ["started", "starting", "restarting"].includes(machine.state(atMs));
  const exit = machine.transition(endMs, "destroying", {
    type: "exit",
    status: "stopped",
    source: "flyd",
    exit: { requested_stop: true },
  });
  const destroyed = machine.transition(endMs, "destroyed", {
    type: "destroy",
    status: "destroyed",
    source: "flyd",
  });
  return up && source === "user" ? [destroying, exit, destroyed] : [destroying, destroyed];
}
