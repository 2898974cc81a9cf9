/** I2 with the whole history, as the model test has it: an answer is true when it is given. */
import type { FunctionRequest, ReceivedAnswer } from "../model/callers.ts";
import type { RowVersion } from "../model/model-database.ts";
import type { Observation } from "../model/run-schedule.ts";
import { isNameOf, type MachineRow } from "./evidence.ts";

const SAYS_THAT_A_MACHINE_MAY_BE_LEFT = /Any leftover Fly machine will be destroyed within minutes/;
/** What a request may take on top of its budget: the answer's own way through the isolate. */
const SLACK_MS = 1_000;
const DESTROY_BUDGET_MS = 60_000;
const RECONCILE_BUDGET_MS = 50_000;

export function answerViolations(seen: Observation): string[] {
  return seen.requests.flatMap((request) => {
    const { answer } = request;
    if (answer === undefined || answer === "lost") return [];
    const found = [
      ...late(request, answer, seen),
      ...(request.kind === "provision" ? provisionViolations(request, answer, seen) : []),
      ...(request.kind === "destroy" ? destroyViolations(request, answer, seen) : []),
    ];
    if (answer.headers.get("x-request-id") !== request.requestId) {
      found.push("has another x-request-id");
    }
    const code = answer.body.code ?? "";
    // A replay repeats what the row says of the first call.
    const replayed = answer.headers.has("idempotency-replayed");
    if (code === "database_error" && !replayed && !databaseWasFaulty(request, answer, seen)) {
      found.push("blames a database that answered every call");
    }
    if (answer.body.error === "An unexpected error happened") found.push("is an unexpected error");
    return found.map((what) =>
      `I2: ${request.requestId} (${request.kind}, ${answer.status} ${code}) ${what}`
    );
  });
}

function late(
  request: FunctionRequest,
  answer: ReceivedAnswer,
  { schedule }: Observation,
): string[] {
  const budgetMs = {
    provision: schedule.settings.provisionTimeoutSeconds * 1_000,
    destroy: DESTROY_BUDGET_MS,
    reconcile: RECONCILE_BUDGET_MS,
  }[request.kind];
  const tookMs = answer.atMs - request.atMs;
  return tookMs <= budgetMs + SLACK_MS ? [] : [`took ${tookMs} ms of ${budgetMs}`];
}

function provisionViolations(
  request: FunctionRequest,
  answer: ReceivedAnswer,
  seen: Observation,
): string[] {
  switch (answer.status) {
    case 200:
      return [...runningViolations(answer, request, seen), ...keyViolations(request, answer, seen)];
    case 202:
      return [
        ...acceptedViolations(request, answer, seen),
        ...keyViolations(request, answer, seen),
      ];
    case 500:
      return failureViolations(request, answer, seen);
    case 401:
      return deleted(request.userId, seen) ? [] : ["refuses a user that exists"];
    case 400:
      return request.body.includes("userId") && deleted(request.userId, seen) ? [] : ["is refused"];
    case 409:
      return during(
          request,
          answer,
          seen,
          ({ machine_id, status }) =>
            machine_id === answer.body.machineId && ["provisioning", "running"].includes(status),
        )
        ? []
        : ["names a machine that did not live"];
    case 422:
      return request.key === null ? ["speaks of a key that was not sent"] : [];
    default:
      return ["has a status that no request here can get"];
  }
}

/** 200: the machine exists, was seen started, and the row said so. */
function runningViolations(
  answer: ReceivedAnswer,
  request: FunctionRequest,
  { versions, machines }: Observation,
) {
  const { machineId, flyMachineId, status, websocketUrl } = answer.body;
  const found: string[] = [];
  if (status !== "running") found.push(`says ${status}`);
  const wasRunning = during(
    request,
    answer,
    { versions },
    (row) =>
      row.machine_id === machineId && row.status === "running" &&
      row.fly_machine_id === flyMachineId && row.websocket_url === websocketUrl,
  );
  if (!wasRunning) found.push(`says running, and the row of ${machineId} did not`);
  const machine = machines.find(({ id }) => id === flyMachineId);
  if (machine?.name !== machineId) found.push(`names a machine ${flyMachineId} that never was`);
  const since = versions.find(({ row }) =>
    row.machine_id === machineId && row.status === "running"
  );
  const started = machine?.history.some(({ state, at }) =>
    state === "started" && at <= (since?.atMs ?? -Infinity)
  );
  if (!started) found.push(`says running before ${flyMachineId} was started`);
  return found;
}

function acceptedViolations(
  request: FunctionRequest,
  answer: ReceivedAnswer,
  { rows }: Observation,
): string[] {
  const row = rows.find((row) => isNameOf(answer.body.machineId, row));
  const found = request.async ? [] : ["was not asked for"];
  if (row === undefined) found.push("names a machine without a row");
  else if (row.status === "provisioning") found.push(`ended as ${row.status}`);
  return found;
}

/** 500: the row is closed before the answer, unless the answer says that it may not be. */
function failureViolations(
  request: FunctionRequest,
  answer: ReceivedAnswer,
  seen: Observation,
): string[] {
  const { machineId, message = "" } = answer.body;
  const { code } = answer.body;
  // The answer says that the outcome is not known, so it cannot be wrong.
  if (answer.body.retry === "same_key") return [];
  const own = seen.versions.find(({ row }) => row.request_id === request.requestId)?.row.machine_id;
  const name = machineId ?? own;
  if (name === undefined || name === null) return [];
  const closed = seen.versions.some(({ step, row }) =>
    step <= answer.step && isNameOf(name, row) && ["error", "destroyed"].includes(row.status)
  );
  const replayed = answer.headers.has("idempotency-replayed");
  const found = closed
    ? []
    : [`leaves the row of ${name} open and does not say so (${code}: ${message})`];
  if (
    !replayed && !SAYS_THAT_A_MACHINE_MAY_BE_LEFT.test(message) && !seen.calls.some((c) => c.lied)
  ) {
    const row = seen.rows.find((row) => isNameOf(name, row));
    const left = seen.machines.filter((machine) =>
      machine.name === (row?.machine_id ?? name) && !seen.foreignIds.includes(machine.id) &&
      livedAt(machine, answer.atMs) && !landedLate(machine, seen)
    );
    found.push(
      ...left.map(({ id }) => `leaves machine ${id} and does not say so (${code}: ${message})`),
    );
  }
  return found;
}

/** Made by a create whose caller had given up: the request could not know, and reconcile finds it. */
function landedLate({ name, createdAtMs }: Observation["machines"][number], seen: Observation) {
  return seen.calls.some(({ action, subject, effectAtMs, sentAtMs, waitedMs }) =>
    action === "create" && subject === name && effectAtMs === createdAtMs &&
    effectAtMs > sentAtMs + waitedMs
  );
}

function livedAt({ history }: Observation["machines"][number], atMs: number): boolean {
  const state = history.findLast(({ at }) => at <= atMs)?.state;
  return state !== undefined && state !== "destroying" && state !== "destroyed";
}

/** Requests with one key get one machine. */
function keyViolations(
  request: FunctionRequest,
  answer: ReceivedAnswer,
  seen: Observation,
): string[] {
  if (request.key === null) return [];
  const others = seen.requests.filter((other) =>
    other !== request && other.kind === "provision" && other.userId === request.userId &&
    other.key === request.key && typeof other.answer === "object" && other.answer.status < 300
  );
  const rowOf = ({ body: { machineId } }: ReceivedAnswer) =>
    seen.rows.find((row) => isNameOf(machineId, row))?.id ?? machineId;
  return others.some((other) =>
      typeof other.answer === "object" && rowOf(other.answer) !== rowOf(answer)
    )
    ? ["names another machine than the same key before"]
    : [];
}

function destroyViolations(
  request: FunctionRequest,
  answer: ReceivedAnswer,
  seen: Observation,
): string[] {
  const row = seen.rows.find((row) => isNameOf(request.machineId, row));
  const rowsThen = seen.versions.filter(({ step, row }) =>
    step <= answer.step && isNameOf(request.machineId, row)
  );
  switch (answer.status) {
    case 200: {
      const found = rowsThen.some(({ row }) => row.status === "destroyed")
        ? []
        : ["says destroyed, and the row does not"];
      // A machine that was still being created when the row was read is destroyed by its own request.
      const known = rowsThen.findLast(({ step, row }) => step <= request.step && row.fly_machine_id)
        ?.row
        .fly_machine_id;
      const lied = seen.calls.some((call) => call.lied);
      const machine = seen.machines.find(({ id }) => id === known);
      if (machine && livedAt(machine, answer.atMs) && !lied) {
        found.push(`says destroyed, and machine ${known} lives`);
      }
      return found;
    }
    case 404: {
      const visible = row !== undefined && (request.userId === null ||
        rowsThen.every(({ row }) => row.user_id === request.userId) && rowsThen.length > 0);
      return visible ? ["denies a machine that the caller may see"] : [];
    }
    case 500:
      return /will be within minutes/.test(answer.body.message ?? "") &&
          !["destroyed", "error"].includes(row?.status ?? "")
        ? [`promised to destroy ${request.machineId}, which is ${row?.status}`]
        : [];
    default:
      return ["has a status that no request here can get"];
  }
}

/** Whether some version of a row was current between the request and its answer. */
function during(
  request: FunctionRequest,
  answer: ReceivedAnswer,
  { versions }: Pick<Observation, "versions">,
  wanted: (row: MachineRow) => boolean,
): boolean {
  return versions.some((version, index) =>
    version.step <= answer.step && wanted(version.row) &&
    (successor(versions, version, index)?.step ?? Infinity) >= request.step
  );
}

function successor(versions: RowVersion[], version: RowVersion, index: number) {
  return versions.slice(index + 1).find(({ row }) => row.id === version.row.id);
}

function deleted(user: string | null, { schedule }: Observation): boolean {
  return schedule.operations.some((operation) =>
    operation.kind === "delete-user" && user?.endsWith(String(operation.user))
  );
}

/** Whether a call to the database went wrong, or was so slow that its caller had no time left. */
function databaseWasFaulty(
  request: FunctionRequest,
  answer: ReceivedAnswer,
  { calls }: Observation,
): boolean {
  return calls.some((call) =>
    call.upstream === "database" && call.isolate === request.isolate &&
    (call.fault.kind !== "none" || call.seen === "given up" && call.waitedMs > 0) &&
    call.sentStep >= request.step && call.sentStep <= answer.step
  );
}
