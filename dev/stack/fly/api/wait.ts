/** The wait for a state, the one call that takes time of its own. */
import { type AdmittedCall, type ApiAnswer, read } from "./handler.ts";
import type { Clock } from "../../clock.ts";
import type { Machine } from "../world/machine.ts";
import { seenMachine } from "../world/visibility.ts";
import {
  instanceIdRequired,
  invalidArgument,
  machineNotFound,
  unreachableState,
  waitTimedOut,
  waitTimeoutOutOfRange,
} from "./errors.ts";

const WAITABLE = ["started", "stopped", "suspended", "destroyed", "failed", "settled"];

/** What `settled` stands for: the states that a Machine stays in until something happens to it. */
const SETTLED: readonly string[] = [
  "started",
  "stopped",
  "suspended",
  "failed",
  "destroyed",
];

/**
 * `GET /v1/apps/{app}/machines/{id}/wait?state=started&timeout=60`: holds the call until the Machine
 * enters one of the states (fly-go sends several `state`) or the timeout runs out.
 */
export async function waitForMachine(call: AdmittedCall): Promise<ApiAnswer> {
  const { world, route, query, signal, omitted } = call;
  // A wait for `destroyed` that comes too late is 404: flyctl takes that for success.
  const { machine } = seenMachine(world, route, omitted);
  const wanted = wantedStates(query, machine);
  const beginMs = world.now();
  const deadlineMs = beginMs + timeoutSeconds(query.get("timeout")) * 1000;
  for (;;) {
    const now = world.now();
    // A state that came and went between two checks still counts: the API follows events.
    const entered = machine.history(now).some(({ at, state }) => at > beginMs && wanted.has(state));
    if (entered || wanted.has(machine.state(now))) return read(reached(machine, now));
    const scheduled = machine.scheduled(now);
    const hopeless = !scheduled.some(({ state }) => wanted.has(state));
    const { waitForUnreachable } = world.settings;
    if (hopeless && waitForUnreachable === "409-at-once") {
      throw unreachableState([...wanted], machine.state(now));
    }
    if (now >= deadlineMs || (hopeless && waitForUnreachable === "at-once")) {
      throw waitTimedOut([...wanted], machine.state(now));
    }
    const wakeMs = Math.min(deadlineMs, scheduled[0]?.at ?? deadlineMs);
    await sleepUntilChange(world.clock, machine, wakeMs - now, signal);
  }
}

/** The states in the query. */
function wantedStates(query: URLSearchParams, machine: Machine): Set<string> {
  const given = query.getAll("state").filter((state) => state !== "");
  const asked = given.length === 0 ? ["started"] : given;
  for (const state of asked) {
    if (!WAITABLE.includes(state)) throw invalidArgument(`unable to wait for state '${state}'`);
  }
  // The old name and the new one.
  const version = query.get("instance_id") ?? query.get("version");
  if (asked.includes("stopped") && !version) throw instanceIdRequired();
  if (version && version !== machine.identity.instanceId) throw machineNotFound();
  return new Set(asked.flatMap((state) => state === "settled" ? SETTLED : [state]));
}

/** In the members of the API's OpenAPI file. */
function reached(machine: Machine, nowMs: number): Record<string, unknown> {
  return {
    ok: true,
    state: machine.state(nowMs),
    event_id: machine.events(nowMs)[0]?.id ?? "",
    version: machine.identity.instanceId,
  };
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
