/** I2 of /start, /stop, /suspend and /connect: what is answered was seen, and what is refused was impossible. */
import { isDeleted, statusViolations, versionsDuring } from "./said.ts";
import type { OverdueMistake } from "./judge-rows.ts";
import type { LifeAnswer, LifeRequest } from "./callers.ts";
import { hasExcuse } from "./excuses.ts";
import type { Change } from "./life.ts";
import { kindsDuring, type TrueMachine, type Truth } from "./truth.ts";

type ChangeRequest = LifeRequest & { kind: Change };

export function changeViolations(
  truth: Truth,
  request: ChangeRequest,
  answer: LifeAnswer,
): string[] {
  const { status, body: { code } } = answer;
  switch (status) {
    case 200:
      return doneViolations(truth, request, answer);
    case 404:
      return code === "not_found" && isDeleted(truth, request.life)
        ? []
        : ["denies a machine that the caller may see"];
    case 409:
      return code === "machine_state_conflict"
        ? refusalViolations(truth, request, answer)
        : [`is a conflict with ${code}`];
    case 500:
      return hasExcuse(truth, request, answer) ? [] : ["failed although nothing was wrong"];
    default:
      return [`has a status that no request here can get: ${code}`];
  }
}

/** 200: the machine was seen in the state, and its row said so. */
function doneViolations(truth: Truth, request: ChangeRequest, answer: LifeAnswer): string[] {
  const wanted = request.kind === "start" ? "running" : "stopped";
  const { machineId, status } = answer.body;
  const found: string[] = [];
  if (machineId !== request.machineId) found.push(`names ${machineId}`);
  if (status !== wanted) found.push(`says ${status}`);
  const rows = versionsDuring(truth, request, answer, request.machineId);
  if (!rows.some(({ row }) => row.status === wanted)) {
    found.push(`and its row said ${rows.map(({ row }) => row.status).join(", ")}`);
  }
  const machine = machineOf(truth, rows.at(-1)?.row.fly_machine_id ?? null);
  if (machine === undefined) return [...found, "and there is no machine"];
  const kinds = kindsDuring(machine, request.atMs - machine.getLagMs, answer.atMs);
  if (!kinds.has(request.kind === "start" ? "up" : "asleep")) {
    found.push(`and its machine was ${[...kinds].join(", ")}`);
  }
  return found;
}

/** 409: something about the machine or its row forbade it at that time. */
function refusalViolations(truth: Truth, request: ChangeRequest, answer: LifeAnswer): string[] {
  const rows = versionsDuring(truth, request, answer, request.machineId);
  const forbidden = rows.length === 0 ||
    rows.some(({ row }) =>
      (row.status !== "running" && row.status !== "stopped") || row.destroy_requested_at !== null
    );
  if (forbidden || truth.isBusy(request.life ?? -1, request.atMs, answer.atMs, request)) return [];
  const machine = machineOf(truth, rows.at(-1)?.row.fly_machine_id ?? null);
  if (machine === undefined) return [];
  const kinds = kindsDuring(machine, request.atMs - machine.getLagMs, answer.atMs);
  const impossible = kinds.has("failed") || kinds.has("gone") || kinds.has("settling") ||
    // Fly.io suspends what is started, and nothing else.
    (request.kind === "suspend" && kinds.has("asleep")) ||
    // It came from the lie that there is no machine.
    hasExcuse(truth, request, answer);
  return impossible
    ? []
    : [`refuses although the machine was ${[...kinds].join(", ")}: ${answer.body.error}`];
}

/** /connect asks the row alone: an address and a token for a machine that runs or can be woken. */
export function connectViolations(
  truth: Truth,
  request: LifeRequest,
  answer: LifeAnswer,
  overdue: readonly OverdueMistake[],
): string[] {
  const { status, body: { code, machineId, websocketUrl } } = answer;
  const called = truth.seen.calls.some(({ life, upstream, isolate, run, sentStep }) =>
    life === request.life && upstream === "fly" && run === null &&
    isolate.startsWith(`life ${life},`) && sentStep >= request.step && sentStep <= answer.step
  );
  if (called && !truth.isBusy(request.life ?? -1, request.atMs, answer.atMs, request)) {
    return ["called Fly.io"];
  }
  switch (status) {
    case 200:
      return [
        ...(machineId === request.machineId ? [] : [`names ${machineId}`]),
        ...(websocketUrl ? [] : ["has no address"]),
        ...statusViolations(truth, request, answer, overdue),
      ];
    case 404:
      return isDeleted(truth, request.life) ? [] : ["denies a machine that the caller may see"];
    case 409: {
      const rows = versionsDuring(truth, request, answer, request.machineId);
      const open = rows.every(({ row }) =>
        (row.status === "running" || row.status === "stopped") && row.destroy_requested_at === null
      );
      return code === "machine_state_conflict" && !open
        ? []
        : [`refuses a machine that was ${rows.map(({ row }) => row.status).join(", ")}`];
    }
    case 500:
      return hasExcuse(truth, request, answer) ? [] : ["failed although nothing was wrong"];
    default:
      return [`has a status that no request here can get: ${code}`];
  }
}

function machineOf(truth: Truth, flyMachineId: string | null): TrueMachine | undefined {
  return truth.machine(flyMachineId);
}
