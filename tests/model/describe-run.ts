/** Everything that happened in a run, to find the reason of a violation. */
import type { Observation } from "./run-schedule.ts";
import { EPOCH_MS } from "../../dev/stack/clock.ts";

/** @returns lines: requests, calls, rows, machines, log; times in milliseconds of virtual time */
export function describeRun(seen: Observation): string[] {
  const at = (ms: number | null) => ms === null ? "never" : `${ms - EPOCH_MS}`;
  return [
    "Requests",
    ...seen.requests.map((request) => {
      const { answer } = request;
      const said = typeof answer === "object"
        ? `at ${at(answer.atMs)} ${answer.status} ${answer.text}`
        : answer ?? "never answered";
      const about = [
        request.userId,
        request.machineId,
        request.key,
        request.body,
        request.async && "async",
      ]
        .filter(Boolean).join(" ");
      return `  ${request.requestId} at ${
        at(request.atMs)
      } on ${request.isolate}: ${request.kind} ${about} -> ${said}`;
    }),
    "Calls to upstreams (sent, arrived)",
    ...seen.calls.map((call) =>
      `  ${at(call.sentAtMs)} ${at(call.effectAtMs)} ${call.isolate}: ${call.upstream} ` +
      `${call.action} ${call.subject ?? ""} ${JSON.stringify(call.fault)} -> ${call.seen}`
    ),
    "Versions of rows",
    ...seen.versions.map(({ atMs, row }) =>
      `  ${at(atMs)} ${row.machine_id}: ${row.status} ${row.error_code ?? ""} machine ` +
      `${row.fly_machine_id}, reconcile at ${row.reconcile_at}, destroy ${row.destroy_requested_at}`
    ),
    "Machines",
    ...seen.machines.map(({ id, name, history }) =>
      `  ${id} ${name}: ${history.map(({ state, at: ms }) => `${state} ${at(ms)}`).join(", ")}`
    ),
    "Log",
    ...seen.lines.map(({ method, line }) => `  console.${method} ${line}`),
  ];
}
