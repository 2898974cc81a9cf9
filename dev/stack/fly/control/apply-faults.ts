/** Where a fault is applied: around the effect of a call, and to its answer. */
import { type AnswerFault, GARBAGE } from "../../faults.ts";
import type { ApiAnswer } from "../api/handler.ts";
import type { Route } from "../api/routes.ts";
import type { World } from "../world/world.ts";
import type { Delivery } from "./delivery.ts";
import type { CallFacts, FaultsOfCall } from "./fault-rules.ts";

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

/** How long a call takes, and what ends it early. */
export interface CallTiming {
  latencyMs: number;
  /** Rejects when the simulator abandons its calls. */
  sleep(ms: number): Promise<void>;
  /** Aborted when the caller leaves or the simulator abandons its calls. */
  callerOrAbandoned: AbortSignal;
}

/**
 * Carries out a call with the faults that it meets.
 *
 * @param perform The call's effect; not called when a fault prevents it.
 * @throws the reason of `callerOrAbandoned` when a hanging call ends
 */
export async function applyFaults(
  { answer: fault, delay }: FaultsOfCall,
  timing: CallTiming,
  headers: Record<string, string>,
  perform: () => Promise<ApiAnswer>,
): Promise<Delivery> {
  const pause = async (ms: number) => {
    if (ms > 0) await timing.sleep(ms);
  };
  await pause(timing.latencyMs / 2);
  if (delay?.when === "before") await pause(delay.ms);
  if (fault?.kind === "hang" && fault.when === "before") return await hang(timing);
  if (preventsEffect(fault)) return deliver({ status: 0, effect: false }, fault, headers);
  const answer = await perform();
  if (delay?.when === "after") await pause(delay.ms);
  if (fault?.kind === "hang") return await hang(timing);
  await pause(timing.latencyMs / 2);
  return deliver(answer, fault, headers);
}

function hang({ callerOrAbandoned: signal }: CallTiming): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** Whether the call has no effect, and its answer goes out in its place. */
function preventsEffect(fault: AnswerFault | undefined): boolean {
  return (fault?.kind === "status" && fault.effect !== true) ||
    (fault?.kind === "reset" && fault.when === "before");
}

/** Turns what the API answers, and the fault that the answer meets, into what the caller gets. */
function deliver(
  answer: ApiAnswer,
  fault: AnswerFault | undefined,
  headers: Record<string, string>,
): Delivery {
  if (fault?.kind === "reset") return { kind: "reset" };
  if (fault?.kind === "status") return statusAnswer(fault, headers);
  const body = fault?.kind === "garbage"
    ? fault.body ?? GARBAGE
    : answer.json === undefined
    ? null
    : JSON.stringify(answer.json);
  if (fault?.kind === "half-answer") {
    return { kind: "half-answer", status: answer.status, headers, body: body ?? " " };
  }
  return { kind: "answer", status: answer.status, headers, body };
}

function statusAnswer(
  fault: Extract<AnswerFault, { kind: "status" }>,
  headers: Record<string, string>,
): Delivery {
  const text = typeof fault.body === "string"
    ? fault.body
    : JSON.stringify(fault.body ?? { error: `scripted status ${fault.status}` });
  const own = Object.entries(fault.headers ?? {}).map(([name, value]) =>
    [name.toLowerCase(), value] as const
  );
  return {
    kind: "answer",
    status: fault.status,
    headers: { ...headers, ...Object.fromEntries(own) },
    body: BODILESS.includes(fault.status) ? null : text,
  };
}
