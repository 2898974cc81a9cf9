/** I9 and I7: what was written into rows and destroyed at Fly.io, against what was true just then. */
import type { LifeCall } from "./network.ts";
import type { RowVersion } from "./row-versions.ts";
import { kindsDuring, type TrueMachine, type Truth } from "./truth.ts";
import type { Violation } from "./observation.ts";

/** How old what Fly.io said may be when it is acted upon: a call that is slow, and its repetition. */
const NEWS_MS = 60_000;
const BETWEEN_SIGHTINGS_MS = 60_000;

export function decisionViolations(truth: Truth): Violation[] {
  return [
    ...truth.seen.versions.flatMap((version) => transitionViolations(truth, version)),
    ...truth.seen.calls.flatMap((call) => destructionViolations(truth, call)),
  ];
}

function transitionViolations(truth: Truth, version: RowVersion): Violation[] {
  const { row, before, atMs } = version;
  const machine = truth.machine(row.fly_machine_id ?? before?.fly_machine_id ?? null);
  const life = truth.lifeOf(row.machine_id) ?? null;
  const say = (text: string): Violation[] => [{ life, text: `${text} (at ${atMs})` }];
  if (row.status === "running" && row.stop_reason) {
    return say(`I7: ${row.machine_id} is running and stopped because of ${row.stop_reason}`);
  }
  if (before === null || before.status === row.status || machine === undefined) return [];
  const kinds = kindsDuring(machine, atMs - machine.lagMs - NEWS_MS, atMs);
  const wasLive = before.status === "running" || before.status === "stopped";
  switch (row.status) {
    case "running":
      return kinds.has("up") ? [] : say(`I7: ${row.machine_id} became running while it was not up`);
    case "stopped":
      return kinds.has("asleep")
        ? []
        : say(`I7: ${row.machine_id} became stopped while it was not asleep`);
    case "error":
      return wasLive && before.destroy_requested_at === null
        ? endViolations(truth, version, machine).flatMap(say)
        : [];
    default:
      return [];
  }
}

/** A row that was live ends as lost or failed, and only when that is so. */
function endViolations(
  truth: Truth,
  { row, atMs, untilMs }: RowVersion,
  machine: TrueMachine,
): string[] {
  const kinds = kindsDuring(machine, atMs - machine.lagMs - NEWS_MS, atMs);
  const end = machine.periods.findIndex(({ kind }) => kind === "gone");
  const failedBefore = machine.periods[end - 1]?.kind === "failed" && kinds.has("gone");
  switch (row.error_code) {
    case "machine_failed":
      return kinds.has("failed") || failedBefore
        ? []
        : [`I9: ${row.machine_id} was called failed, and it was ${[...kinds].join(", ")}`];
    case "machine_lost":
      // Whatever destroyed it, we knew that it had failed: only our own call can be the one.
      if (kinds.has("gone") || wasDeniedTwice(truth, row.machine_id, atMs)) return [];
      return [
        `I9: ${row.machine_id} was called lost, and it was ${[...kinds].join(", ")}` +
        (untilMs === Infinity ? " for good" : ""),
      ];
    default:
      return [`I7: ${row.machine_id} ended as ${row.error_code} although it had been provisioned`];
  }
}

/** Whether lists missed the machine and calls about it were 404, in two runs a minute apart. */
function wasDeniedTwice(truth: Truth, machineId: string, atMs: number): boolean {
  const life = truth.lifeOf(machineId);
  if (life === undefined) return false;
  const denials = truth.seen.runs.flatMap((run) => {
    const calls = truth.callsOf(run).filter(({ sentAtMs }) => sentAtMs <= atMs);
    const lists = calls.filter(({ action }) =>
      action === "list" || action === "organization-machines"
    );
    const unlisted = lists.some((call) => call.omitted.includes(life));
    const denied = calls.filter((call) => call.life === life && saysGone(call, life));
    return unlisted ? denied.map(({ sentAtMs }) => sentAtMs) : [];
  });
  return denials.some((first) => denials.some((last) => last - first >= BETWEEN_SIGHTINGS_MS));
}

/** A 404 about something that is there. */
function saysGone({ method, omitted, fault }: LifeCall, life: number): boolean {
  return method === "GET" && (omitted.includes(life) || fault?.startsWith("status 404") === true);
}

/** No machine is destroyed that works and that its row stands for. */
function destructionViolations(truth: Truth, call: LifeCall): Violation[] {
  if (call.action !== "delete" && call.action !== "app-delete") return [];
  if (call.effectAtMs === null) return [];
  const { effectAtMs, subject, sentStep, life } = call;
  return truth.machines.filter(({ id, name }) => id === subject || name === subject)
    .flatMap((machine) => {
      const kind = machine.periods.findLast(({ fromMs }) => fromMs < effectAtMs)?.kind;
      if (kind === undefined || kind === "gone" || kind === "failed") return [];
      const row = truth.seen.versions.findLast((version) =>
        version.step <= sentStep && version.row.machine_id === machine.name
      )?.row;
      const wanted = row !== undefined && row.user_id !== null && row.destroy_requested_at === null;
      if (!wanted) return [];
      const isLive = row.status === "running" || row.status === "stopped";
      // Nothing is to be left of a closed row, even if an operator starts its machine again; whether
      // it was right to close it is judged above.
      return isLive
        ? [{
          life,
          text:
            `I9: ${machine.name} is ${row.status}, its machine was ${kind}, and ${call.action} ` +
            `destroyed it (at ${effectAtMs})`,
        }]
        : [];
    });
}
