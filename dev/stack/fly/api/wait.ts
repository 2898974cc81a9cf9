/** The wait for a state, the one call that takes time of its own. */
import { type AdmittedCall, type ApiAnswer, read } from "./handler.ts";
import type { Clock } from "../../clock.ts";
import { invalidArgument, machineNotFound, waitTimedOut, waitTimeoutOutOfRange } from "./errors.ts";
import type { Machine } from "../world/machine.ts";

const WAITABLE = ["started", "stopped", "suspended", "destroyed"];

/**
 * `GET /v1/apps/{app}/machines/{id}/wait?state=started&timeout=60`: holds the call until the Machine
 * enters one of the states (fly-go sends several `state`) or the timeout runs out.
 */
export async function waitForMachine(
  { world, route, query, signal }: AdmittedCall,
): Promise<ApiAnswer> {
  const states = query.getAll("state").filter((state) => state !== "");
  const wanted = states.length === 0 ? ["started"] : states;
  // A delete followed by a wait for `destroyed` must not depend on which is faster.
  const machine = wanted.includes("destroyed")
    ? world.anyMachine(route.app, route.machineId)
    : world.visibleMachine(route.app, route.machineId);
  for (const state of wanted) {
    if (!WAITABLE.includes(state)) throw invalidArgument(`unable to wait for state '${state}'`);
  }
  const instance = query.get("instance_id") ?? query.get("version");
  if (instance && instance !== machine.identity.instanceId) throw machineNotFound();
  const beginMs = world.now();
  const deadlineMs = beginMs + timeoutSeconds(query.get("timeout")) * 1000;
  for (;;) {
    const now = world.now();
    // A state that came and went between two checks still counts: the API follows events.
    const entered = machine.history(now).some(({ at, state }) =>
      at > beginMs && wanted.includes(state)
    );
    if (entered || wanted.includes(machine.state(now))) return read({ ok: true });
    const scheduled = machine.scheduled(now);
    const hopeless = !scheduled.some(({ state }) => wanted.includes(state));
    const giveUp = hopeless && world.settings.waitForUnreachable === "at-once";
    if (now >= deadlineMs || giveUp) throw waitTimedOut(wanted, machine.state(now));
    const wakeMs = Math.min(deadlineMs, scheduled[0]?.at ?? deadlineMs);
    await sleepUntilChange(world.clock, machine, wakeMs - now, signal);
  }
}

function timeoutSeconds(text: string | null): number {
  if (text === null || text === "") return 60;
  if (!/^-?\d+$/.test(text)) throw invalidArgument(`invalid timeout '${text}'`);
  const seconds = Number(text);
  if (seconds < 1 || seconds > 60) throw waitTimeoutOutOfRange();
  return seconds;
}

/**
 * Sleeps for `ms` milliseconds, or until the Machine's plan changes if that is earlier.
 * Rejects when `signal` is aborted.
 */
export async function sleepUntilChange(
  clock: Clock,
  machine: Machine,
  ms: number,
  signal: AbortSignal,
): Promise<void> {
  const woken = new AbortController();
  const forget = machine.onChange(() => woken.abort());
  try {
    await clock.sleep(ms, AbortSignal.any([woken.signal, signal]));
  } catch (error) {
    if (signal.aborted || !woken.signal.aborted) throw error;
  } finally {
    forget();
  }
}
