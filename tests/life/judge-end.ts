/** What is left once reconcile has come to rest: I1, I3, I4, I7. */
import { duplicateMachines, duplicateRows, machinesWithoutRow } from "../invariants/creates.ts";
import type { Machine } from "../invariants/evidence.ts";
import { kindOf, whatIsWrong } from "../invariants/lifecycle.ts";
import type { LifeRow } from "./row-versions.ts";
import type { Truth } from "./truth.ts";
import type { Violation } from "./observation.ts";

export function endViolations(truth: Truth): Violation[] {
  const { seen } = truth;
  const rows = seen.versions.filter(({ untilMs }) => untilMs === Infinity).map(({ row }) => row);
  const machines = truth.machines.map((machine): Machine => {
    const state = machine.history.at(-1)?.state ?? "creating";
    return { ...machine, state, live: kindOf(state) !== "gone" };
  });
  const judged = rows.map(({ machine_id, user_id, idempotency_key, status }) => ({
    machine_id,
    user_id,
    idempotency_key,
    // A sleeping machine is as much a row's only one as a running one.
    status: status === "running" || status === "stopped" ? "running" as const : "error" as const,
  }));
  return [
    ...restViolations(truth),
    ...rows.flatMap((row) => rowViolations(truth, row)),
    ...machines.filter(({ live }) => live).flatMap((machine) =>
      machineViolations(truth, machine, rows)
    ),
    ...seen.apps.flatMap((app) => appViolations(truth, app, rows)),
    ...seen.touched.map((name) => ({ life: null, text: `I4: ${name}, not ours, was destroyed` })),
    ...[
      ...duplicateRows(judged),
      ...duplicateMachines(judged, machines, "after-destruction"),
      ...machinesWithoutRow(judged, machines),
    ].map((text) => ({ life: null, text })),
  ];
}

function restViolations({ seen }: Truth): Violation[] {
  const found = seen.requests.filter(({ answer }) => answer === undefined).map((request) => ({
    life: request.life,
    text: `hang: ${request.requestId} (${request.kind}) was never answered`,
  }));
  if (!seen.settled) found.push({ life: null, text: "hang: background work did not end" });
  if (seen.calmRuns === null) {
    const last = seen.requests.findLast(({ kind }) => kind === "reconcile")?.answer;
    const said = typeof last === "object" ? last.text : String(last);
    found.push({ life: null, text: `hang: reconcile does not come to rest: ${said}` });
  }
  for (const reason of seen.unhandled) {
    const text = reason instanceof Error ? reason.stack ?? reason.message : String(reason);
    found.push({ life: null, text: `unhandled rejection: ${text}` });
  }
  return found;
}

function rowViolations(truth: Truth, row: LifeRow): Violation[] {
  const life = truth.lifeOf(row.machine_id) ?? null;
  if (row.status === "provisioning") {
    return [{ life, text: `I1: ${row.machine_id} is provisioning at the end` }];
  }
  if (row.destroy_requested_at !== null && ["running", "stopped"].includes(row.status)) {
    return [{ life, text: `I4: ${row.machine_id} was to be destroyed, and is ${row.status}` }];
  }
  const machine = truth.machine(row.fly_machine_id);
  const kind = machine?.periods.at(-1)?.kind ?? "gone";
  const wrong = whatIsWrong(row, kind);
  return wrong === null ? [] : [{ life, text: `I7: ${row.machine_id} ${wrong}, at the end` }];
}

/** I4: what bills has a live row. */
function machineViolations(
  truth: Truth,
  { id, name, state }: Machine,
  rows: readonly LifeRow[],
): Violation[] {
  const row = rows.find(({ machine_id }) => machine_id === name);
  const isLive = row?.status === "running" || row?.status === "stopped";
  if (isLive && row.fly_machine_id === id && row.user_id !== null) return [];
  const says = row ? `${row.status} with machine ${row.fly_machine_id}` : "missing";
  const text = `I4: machine ${id} (${name}) is ${state}, and its row is ${says}`;
  return [{ life: truth.lifeOf(name) ?? null, text }];
}

function appViolations(truth: Truth, app: string, rows: readonly LifeRow[]): Violation[] {
  const row = rows.find(({ machine_id }) => machine_id === app);
  if (row?.status === "running" || row?.status === "stopped") return [];
  const text = `I4: app ${app} is left, and its row is ${row?.status ?? "missing"}`;
  return [{ life: truth.lifeOf(app) ?? null, text }];
}
