import type { Answer } from "../api/handler.ts";
import type { Delivery } from "./delivery.ts";
import type { AnswerFault, CallFacts, DelayFault } from "./faults.ts";
import type { Route } from "../api/routes.ts";
import type { World } from "../world/world.ts";

/** What a garbled answer says: the beginning of JSON, then nothing that parses. */
const GARBAGE = '{"id": "d890\u0000</html>';

/** Statuses that must not carry a body. */
const BODILESS = [204, 205, 304];

/** The members of a create call's body that faults are matched by; nothing here is refused. */
function createFacts(body: string): { machineName: string | null; region: string | null } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  const text = (key: string) => {
    const value = typeof parsed === "object" && parsed !== null ? Reflect.get(parsed, key) : null;
    return typeof value === "string" ? value : null;
  };
  return { machineName: text("name"), region: text("region") };
}

/** What faults are matched by. */
export function callFacts(
  world: World,
  method: string,
  path: string,
  route: Route,
  body: string,
): CallFacts {
  const identity = route.machineId === null
    ? undefined
    : world.findMachine(route.machineId)?.identity;
  const { machineName, region } = route.action === "create"
    ? createFacts(body)
    : { machineName: identity?.name ?? null, region: identity?.region ?? null };
  return { method, path, action: route.action, machineName, region };
}

/** Turns what the API answers, and the fault that strikes the answer, into what the caller gets. */
export function deliver(
  answer: Answer,
  fault: AnswerFault | undefined,
  headers: Record<string, string>,
): Delivery {
  if (fault?.kind === "reset") return { kind: "reset" };
  if (fault?.kind === "status") return scripted(fault, headers);
  const body = fault?.kind === "garbage"
    ? fault.body ?? GARBAGE
    : answer.json === undefined
    ? null
    : JSON.stringify(answer.json);
  if (fault?.kind === "truncate") {
    return { kind: "cut", status: answer.status, headers, body: body ?? " " };
  }
  return { kind: "answer", status: answer.status, headers, body };
}

/** The answer that a `status` fault scripts. */
export function scripted(
  fault: Extract<AnswerFault, { kind: "status" }>,
  headers: Record<string, string>,
): Delivery {
  const text = typeof fault.body === "string"
    ? fault.body
    : fault.body === undefined
    ? JSON.stringify({ error: `scripted status ${fault.status}` })
    : JSON.stringify(fault.body);
  return {
    kind: "answer",
    status: fault.status,
    headers: { ...headers, ...lowerCased(fault.headers ?? {}) },
    body: BODILESS.includes(fault.status) ? null : text,
  };
}

function lowerCased(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
}

/** True when the fault keeps the call from having its effect. */
export function preventsEffect(fault: AnswerFault | undefined): boolean {
  return (fault?.kind === "status" && fault.effect !== true) ||
    (fault?.kind === "reset" && fault.when === "before");
}

/** True when the call ends because its caller left during a delay. */
export function stopsWithCaller(delay: DelayFault | undefined): boolean {
  return delay?.callerLeaves === "stop";
}
