/** Everything that happened in a batch, to find the reason of a violation. */
import type { Observation } from "./observation.ts";

/** @returns lines in the order of time; times in milliseconds since the world began */
export function describeBatch(seen: Observation): string[] {
  const { startMs, batch } = seen;
  const entries: [number, string][] = [];
  const add = (atMs: number, text: string) => entries.push([atMs, text]);
  for (const { atMs, ...condition } of batch.weather) {
    add(startMs + atMs, `weather: ${JSON.stringify(condition)}`);
  }
  for (const [life, { events }] of batch.lives.entries()) {
    for (const { atMs, ...event } of events) {
      add(startMs + atMs, `life ${life}: ${JSON.stringify(event)}`);
    }
  }
  for (const { requestId, kind, life, atMs, machineId, answer } of seen.requests) {
    const who = life === null ? "" : ` of life ${life}`;
    add(atMs, `${requestId}: ${kind}${who} ${machineId ?? ""}`);
    if (typeof answer === "object") {
      add(answer.atMs, `${requestId} answered ${answer.status} ${answer.text}`);
    } else if (answer === "lost") add(atMs, `${requestId} is lost with its isolate`);
  }
  for (const call of seen.calls) {
    const notes = [
      call.fault,
      call.omitted.length > 0 && `does not see ${call.omitted}`,
      call.silent.length > 0 && `lacks ${call.silent}`,
    ].filter(Boolean).join(", ");
    const from = call.run === null ? call.isolate : `run ${call.run}`;
    add(
      call.sentAtMs,
      `  ${from}: ${call.upstream} ${call.method} ${call.path} -> ${call.seen}` +
        (notes ? ` (${notes})` : ""),
    );
  }
  for (const { atMs, row } of seen.versions) {
    const { machine_id, status, stop_reason, error_code, reconcile_at, destroy_requested_at } = row;
    const more = JSON.stringify({ stop_reason, error_code, reconcile_at, destroy_requested_at });
    add(atMs, `    row ${machine_id}: ${status} ${more}`);
  }
  for (const { id, name, history } of seen.machines) {
    for (const { at, state } of history) add(at, `    machine ${id} ${name}: ${state}`);
  }
  return [
    JSON.stringify(batch.settings),
    ...entries.sort(([a], [b]) => a - b)
      .map(([atMs, text]) => `${String(atMs - startMs).padStart(9)} ${text}`),
    "Errors in the log",
    ...seen.lines.filter(({ method }) => method === "error").map(({ line }) => `  ${line}`),
  ];
}
