/** Why machines stopped, as far as it shows from outside, and how a row may say it. */
import type { Period } from "../invariants/lifecycle.ts";
import type { TrueMachine, Truth } from "./truth.ts";

export type Reason = "requested" | "idle" | "exit code" | "out of memory" | "suspended";

/** What a `stop_reason` of each kind has in it, however it is written. */
const WORDS: Record<Reason, RegExp> = {
  requested: /request/i,
  idle: /idle/i,
  "exit code": /exit/i,
  "out of memory": /memory|oom/i,
  suspended: /suspend/i,
};

/** A stop that failed may still happen at Fly.io, and nothing shows whose it was. */
const LATE_EFFECT_MS = 30_000;

export function isReason(text: string | null, reason: Reason): boolean {
  return text !== null && WORDS[reason].test(text);
}

/**
 * Any of these is true of a machine that was asleep for this time: all that came since it was up and its
 * row knew that. A machine that wakes and sleeps again while no run can see it was asleep in every list:
 * its row keeps the reason of before, as docs/API.md says. `rowStoppedAtMs`: since when it has said
 * `stopped`.
 */
export function acceptedReasons(
  truth: Truth,
  life: number,
  machine: TrueMachine,
  { asleep, rowStoppedAtMs }: { asleep: Period; rowStoppedAtMs: number },
): Reason[] {
  const found = new Set<Reason>();
  const { toMs } = asleep;
  const fromMs =
    machine.periods.findLast((period) =>
      period.kind === "up" && period.fromMs < Math.min(asleep.fromMs, rowStoppedAtMs)
    )?.toMs ?? asleep.fromMs;
  for (const [index, { at, state, event }] of machine.history.entries()) {
    if (at < fromMs || at >= toMs) continue;
    const beginning = machine.history[index - 1];
    const byProxy = beginning !== undefined && isDeed(truth, machine, "proxy sleep", beginning.at);
    if (state === "suspended") {
      found.add("suspended");
      if (byProxy) found.add("idle");
    }
    const exit = event?.request?.exit_event;
    if (state !== "stopped" || exit === undefined) continue;
    if (exit.oom_killed) found.add("out of memory");
    else if (!exit.requested_stop) found.add("exit code");
    else if (byProxy) found.add("idle");
    else {
      found.add("requested");
      // Fly.io's events do not tell an operator's stop from the proxy's.
      if (truth.seen.batch.settings.autostop !== "off") found.add("idle");
    }
  }
  // Asked for what was so already.
  for (const request of truth.seen.requests) {
    const { answer } = request;
    const endMs = typeof answer !== "object"
      ? Infinity
      : answer.atMs + (answer.status >= 500 ? LATE_EFFECT_MS : 0);
    if (request.life !== life || request.atMs >= toMs || endMs < fromMs) continue;
    if (request.kind === "stop" || request.kind === "suspend") found.add("requested");
    if (request.kind === "suspend") found.add("suspended");
  }
  return [...found];
}

function isDeed({ seen }: Truth, { id }: TrueMachine, what: string, atMs: number): boolean {
  return seen.deeds.some((deed) =>
    deed.effect && deed.what === what && deed.flyMachineId === id && deed.atMs === atMs
  );
}
