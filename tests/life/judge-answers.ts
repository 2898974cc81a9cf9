/** I2: what the function answered, against rows and machines as they were when it answered. */
import type { LifeAnswer, LifeRequest } from "./callers.ts";
import { changeViolations, connectViolations } from "./judge-asks.ts";
import type { OverdueMistake } from "./judge-rows.ts";
import { isDeleted, statusViolations, versionsDuring } from "./said.ts";
import { hasExcuse } from "./excuses.ts";
import { kindsDuring, type Truth } from "./truth.ts";
import type { Violation } from "./observation.ts";

/** The answer says that the outcome is not known, so it cannot be wrong. */
const MAY_BE_STALE = /may still say|is not known|repaired within minutes/;
/** What a request may take, and the answer's own way on top. */
const BUDGETS_MS = { provision: 70_000, destroy: 60_000, reconcile: 50_000, ask: 70_000 };
const SLACK_MS = 1_000;

export function answerViolations(truth: Truth, overdue: readonly OverdueMistake[]): Violation[] {
  return truth.seen.requests.flatMap((request) => {
    const { answer, kind, life, requestId } = request;
    if (typeof answer !== "object") return [];
    const found = [
      ...lateAnswer(request, answer),
      ...(kind === "provision" ? provisionViolations(truth, request, answer, overdue) : []),
      ...(kind === "destroy" ? destroyViolations(truth, request, answer) : []),
      ...(kind === "start" || kind === "stop" || kind === "suspend"
        ? changeViolations(truth, { ...request, kind }, answer)
        : []),
      ...(kind === "connect" ? connectViolations(truth, request, answer, overdue) : []),
    ];
    if (answer.headers.get("x-request-id") !== requestId) found.push("has another x-request-id");
    if (answer.body.error === "An unexpected error happened") found.push("is an unexpected error");
    const said = `${answer.status} ${answer.body.code ?? answer.body.status ?? ""}`;
    return found.map((what) => ({
      life,
      text: `I2: ${requestId} (${kind}, ${said}, at ${answer.atMs}) ${what}`,
    }));
  });
}

function lateAnswer({ kind, atMs }: LifeRequest, answer: LifeAnswer): string[] {
  const budgetMs = kind === "provision" || kind === "destroy" || kind === "reconcile"
    ? BUDGETS_MS[kind]
    : BUDGETS_MS.ask;
  const tookMs = answer.atMs - atMs;
  return tookMs <= budgetMs + SLACK_MS ? [] : [`took ${tookMs} ms of ${budgetMs}`];
}

function provisionViolations(
  truth: Truth,
  request: LifeRequest,
  answer: LifeAnswer,
  overdue: readonly OverdueMistake[],
): string[] {
  const { status, body: { code } } = answer;
  switch (status) {
    case 200:
      return [
        ...statusViolations(truth, request, answer, overdue),
        ...runningViolations(truth, request, answer),
        ...keyViolations(truth, request, answer),
      ];
    case 202:
      return [
        ...(request.async ? [] : ["was not asked for"]),
        ...keyViolations(truth, request, answer),
      ];
    case 500:
      return failureViolations(truth, request, answer);
    case 400:
    case 401:
      return isDeleted(truth, request.life) ? [] : ["refuses a user that exists"];
    case 409:
      return conflictViolations(truth, request, answer, overdue);
    case 422:
      return request.key === null ? ["speaks of a key that was not sent"] : [];
    default:
      return [`has a status that no request here can get: ${code}`];
  }
}

function runningViolations(truth: Truth, request: LifeRequest, answer: LifeAnswer): string[] {
  const { machineId, flyMachineId, status, websocketUrl } = answer.body;
  if (status !== "running" && status !== "stopped") return [`says ${status}`];
  const machine = truth.machine(flyMachineId ?? null);
  if (machine === undefined || machine.name !== machineId) {
    return [`names a machine ${flyMachineId} that never was`];
  }
  const found: string[] = [];
  if (!websocketUrl) found.push("has no address");
  const replayed = answer.headers.has("idempotency-replayed");
  // One that stopped before its request had closed the row, which then says so.
  const stopped = truth.seen.versions.some(({ row, atMs, untilMs }) =>
    row.machine_id === machineId && row.status === "stopped" &&
    atMs <= answer.atMs && untilMs >= request.atMs
  );
  if (!replayed && status !== "running" && !stopped) found.push(`is new and ${status}`);
  const wasUp = machine.history.some(({ state, at }) => state === "started" && at <= answer.atMs);
  if (!wasUp) found.push(`says ${status} before ${flyMachineId} was ever started`);
  if (!replayed && !kindsDuring(machine, request.atMs, answer.atMs).has("up")) {
    found.push(`says running, and ${flyMachineId} was not up meanwhile`);
  }
  return found;
}

/** Requests with one key get one machine. */
function keyViolations(truth: Truth, request: LifeRequest, answer: LifeAnswer): string[] {
  if (request.key === null) return [];
  const differs = truth.seen.requests.some((other) =>
    other !== request && other.kind === "provision" && other.life === request.life &&
    other.key === request.key && typeof other.answer === "object" && other.answer.status < 300 &&
    other.answer.body.machineId !== answer.body.machineId
  );
  return differs ? ["names another machine than the same key did"] : [];
}

/** 500: something explains it, and the row is closed unless the answer says that it may not be. */
function failureViolations(truth: Truth, request: LifeRequest, answer: LifeAnswer): string[] {
  const { machineId, message = "", code } = answer.body;
  const replayed = answer.headers.has("idempotency-replayed");
  const found = replayed || hasExcuse(truth, request, answer)
    ? []
    : [`failed with ${code} although nothing was wrong`];
  if (MAY_BE_STALE.test(message) || !machineId) return found;
  const closed = truth.seen.versions.some(({ step, row }) =>
    step <= answer.step && row.machine_id === machineId &&
    (row.status === "error" || row.status === "destroyed")
  );
  return closed ? found : [...found, `leaves its row open and does not say so: ${message}`];
}

/** 409: the limit, with a machine that is live and as it is, or one that is being destroyed. */
function conflictViolations(
  truth: Truth,
  request: LifeRequest,
  answer: LifeAnswer,
  overdue: readonly OverdueMistake[],
): string[] {
  const { machineId, status, code } = answer.body;
  const versions = versionsDuring(truth, request, answer, machineId);
  const toGo = versions.some(({ row }) => row.destroy_requested_at !== null);
  if (code === "machine_state_conflict" || code === "machine_destroyed") {
    return toGo || versionsDuringKey(truth, request, answer)
      ? []
      : ["denies a machine that is there"];
  }
  if (code !== "machine_limit_reached") return [`is a conflict with ${code}`];
  const live = versions.filter(({ row }) =>
    ["provisioning", "running", "stopped"].includes(row.status)
  );
  if (live.length === 0) return ["names a machine that was not live"];
  if (status === "destroying") return toGo ? [] : ["says destroying, and no request asked for it"];
  return live.some(({ row }) => row.status === "provisioning")
    ? []
    : statusViolations(truth, request, answer, overdue);
}

/** Whether the key's machine was to go, where the answer does not name it. */
function versionsDuringKey({ seen }: Truth, request: LifeRequest, answer: LifeAnswer): boolean {
  return seen.versions.some(({ row, step, untilStep }) =>
    row.idempotency_key === request.key && row.destroy_requested_at !== null &&
    step <= answer.step && untilStep >= request.step
  );
}

function destroyViolations(truth: Truth, request: LifeRequest, answer: LifeAnswer): string[] {
  const { seen } = truth;
  const then = seen.versions.filter(({ step, row }) =>
    step <= answer.step && row.machine_id === request.machineId
  );
  switch (answer.status) {
    case 200: {
      if (!then.some(({ row }) => row.status === "destroyed")) {
        return ["says destroyed, and the row does not"];
      }
      const machine = truth.machines.find(({ name, createdAtMs }) =>
        name === request.machineId && createdAtMs < request.atMs
      );
      const lives = machine !== undefined &&
        !kindsDuring(machine, request.atMs, answer.atMs).has("gone");
      return lives && !hasExcuse(truth, request, answer)
        ? [`says destroyed, and machine ${machine.id} lives`]
        : [];
    }
    case 404:
      return isDeleted(truth, request.life) || then.length === 0
        ? []
        : ["denies a machine that the caller may see"];
    case 500:
      return hasExcuse(truth, request, answer) ? [] : ["failed although nothing was wrong"];
    default:
      return ["has a status that no request here can get"];
  }
}
