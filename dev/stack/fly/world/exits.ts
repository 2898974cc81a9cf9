/** How a Machine's process ends of its own accord, and what the restart policy makes of it. */
import { destruction } from "./lifecycle.ts";
import type { Machine } from "./machine.ts";
import type { Transition } from "./types.ts";
import type { World } from "./world.ts";

export interface ProcessEnd {
  /** 0 by default; 137 when the memory ran out. */
  exitCode?: number | undefined;
  oomKilled?: boolean | undefined;
  /** How often it ends so, each time `uptimeMs` after it was `started` again; 1 by default. */
  times?: number | undefined;
  uptimeMs?: number | undefined;
}

/** https://fly.io/docs/machines/guides-examples/machine-restart-policy/ */
const DEFAULT_MAX_RETRIES = 10;
const RETRY_WINDOW_MS = 300_000;
const DEFAULT_UPTIME_MS = 1000;

/**
 * The process ends now. The Machine starts again as its policy says, with `started` between the ends,
 * or is `stopped`; with `auto_destroy` it is then destroyed.
 */
export function endProcess(world: World, machine: Machine, end: ProcessEnd): void {
  const nowMs = world.now();
  const restartDelayMs = world.draw(world.settings.restartDelayMs);
  const destroyDelayMs = world.draw(world.settings.destroyDelayMs);
  const { times = 1, uptimeMs = DEFAULT_UPTIME_MS } = end;
  const transitions: Transition[] = [];
  const restarts = machine.history(nowMs).filter(isRestart).map(({ at }) => at);
  let atMs = nowMs;
  for (let ends = 0; ends < times; ends++) {
    const recent = restarts.filter((restart) => restart > atMs - RETRY_WINDOW_MS).length;
    if (!startsAgain(machine, end, recent)) {
      transitions.push(exit(machine, atMs, end, { restarting: false, count: recent }));
      if (machine.identity.config.auto_destroy === true) {
        transitions.push(...destruction(machine, atMs, destroyDelayMs, "flyd"));
      }
      break;
    }
    transitions.push(exit(machine, atMs, end, { restarting: true, count: recent + 1 }));
    restarts.push(atMs);
    const startedAtMs = atMs + restartDelayMs;
    transitions.push(
      machine.transition(startedAtMs, "started", {
        type: "start",
        status: "started",
        source: "flyd",
      }),
    );
    atMs = startedAtMs + uptimeMs;
  }
  machine.reschedule(nowMs, transitions);
}

function exit(
  machine: Machine,
  atMs: number,
  { oomKilled = false, exitCode = oomKilled ? 137 : 0 }: ProcessEnd,
  { restarting, count }: { restarting: boolean; count: number },
): Transition {
  return machine.transition(atMs, restarting ? "restarting" : "stopped", {
    type: "exit",
    status: "stopped",
    source: "flyd",
    exit: {
      exit_code: exitCode,
      guest_exit_code: exitCode,
      oom_killed: oomKilled,
      restarting,
    },
    restartCount: count,
  });
}

/** `always` has no limit; whether `max_retries` limits it too is not published. */
function startsAgain(machine: Machine, end: ProcessEnd, restarts: number): boolean {
  const { policy, max_retries: maxRetries = DEFAULT_MAX_RETRIES } = machine.identity.config.restart;
  const failed = (end.exitCode ?? 0) !== 0 || end.oomKilled === true;
  if (policy === "always") return true;
  return policy === "on-failure" && failed && restarts < maxRetries;
}

function isRestart({ event }: Transition): boolean {
  return event?.request?.exit_event.restarting === true;
}
