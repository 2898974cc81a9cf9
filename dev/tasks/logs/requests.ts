/** Log events by the request that they belong to. */
import { z } from "zod";
import type { LogEvent } from "./read-events.ts";

const SUMMARY_MESSAGE = "provision-machine finished: ";
/** Shorter beginnings of an id fit too many. */
const SHORTEST_PREFIX = 6;

/** The last event of a request, as far as it is shown by name. */
const Summary = z.looseObject({
  outcome: z.string(),
  status: z.number(),
  code: z.string().optional(),
  region: z.string().optional(),
  reason: z.string().optional(),
  durationMs: z.number(),
  attempts: z.number().optional(),
  ms: z.record(z.string(), z.number()).default({}),
  failedCalls: z.array(z.string()).default([]),
  flyRequestIds: z.array(z.string().nullable()).default([]),
});
export type Summary = z.output<typeof Summary>;

export interface LoggedRequest {
  id: string;
  /** In the order of their time. */
  events: LogEvent[];
  /** Null: the request is not over, or died. */
  summary: Summary | null;
  machineId: string | null;
  userId: string | null;
}

/** Every request, newest first; and how many events belong to none. */
export function requestsOf(events: LogEvent[]): { requests: LoggedRequest[]; unowned: number } {
  const byId = Map.groupBy(events, ({ requestId, afterRequestId }) => requestId ?? afterRequestId);
  const unowned = byId.get(undefined)?.length ?? 0;
  const requests = [...byId].flatMap(([id, own]) => id === undefined ? [] : [requestOf(id, own)]);
  return { requests: requests.sort((a, b) => startOf(b).localeCompare(startOf(a))), unowned };
}

/** The requests that a request id (or its beginning), a machine id or a code fits. */
export function findRequests(requests: LoggedRequest[], what: string): LoggedRequest[] {
  const exact = requests.filter(({ id }) => id === what);
  if (exact.length > 0) return exact;
  return requests.filter(({ id, events, summary }) =>
    (what.length >= SHORTEST_PREFIX && id.startsWith(what)) ||
    summary?.code === what ||
    events.some((event) =>
      event.machineId === what || event["code"] === what || names(event["actions"], what)
    )
  );
}

/** Whether one of reconcile's actions is about the machine. */
function names(actions: unknown, machineId: string): boolean {
  return Array.isArray(actions) &&
    actions.some((action) => String(action).split(" ").includes(machineId));
}

function requestOf(id: string, own: LogEvent[]): LoggedRequest {
  const isSummary = ({ message }: LogEvent) => message.startsWith(SUMMARY_MESSAGE);
  const events = own.toSorted((a, b) =>
    a.timestamp.localeCompare(b.timestamp) || Number(isSummary(a)) - Number(isSummary(b))
  );
  const last = events.findLast(isSummary);
  const field = (name: "machineId" | "userId") =>
    events.findLast((event) => event[name] !== undefined)?.[name] ?? null;
  return {
    id,
    events,
    summary: Summary.safeParse(last).data ?? null,
    machineId: field("machineId"),
    userId: field("userId"),
  };
}

export function startOf({ events }: LoggedRequest): string {
  return events[0]?.timestamp ?? "";
}
