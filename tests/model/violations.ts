/** Judges a run: every way in which it broke one of the invariants I1 to I6. */
import { answerViolations } from "./violations-of-answers.ts";
import { logViolations } from "./violations-of-logs.ts";
import type { Observation } from "./run-schedule.ts";
import { fingerprint } from "./secret-forms.ts";

/** @returns one sentence for each, beginning with the invariant; empty when all hold */
export function violations(seen: Observation, secrets: Record<string, string>): string[] {
  return [
    ...progressViolations(seen),
    ...rowViolations(seen),
    ...leaseViolations(seen),
    ...answerViolations(seen),
    ...machineViolations(seen),
    ...logViolations(seen),
    ...secretViolations(seen, secrets),
  ];
}

function progressViolations(seen: Observation): string[] {
  const found = seen.asks.filter(({ answer }) => answer === undefined)
    .map(({ requestId, kind }) => `hang: ${requestId} (${kind}) was never answered`);
  if (!seen.settled) found.push("hang: requests or background work did not end in virtual time");
  for (const reason of seen.unhandled) {
    const text = reason instanceof Error ? reason.stack ?? reason.message : String(reason);
    found.push(`unhandled rejection: ${text}`);
  }
  const last = seen.reconcileRuns.slice(-2);
  const quiet = last.length === 2 &&
    last.every((run) => run !== null && Object.values(run).every((count) => count === 0));
  if (!quiet) {
    found.push(`hang: reconcile does not come to rest: ${JSON.stringify(seen.reconcileRuns)}`);
  }
  return found;
}

/** I1, and the part of I3 that is about rows. */
function rowViolations({ rowsAfterOneRun, rows }: Observation): string[] {
  const stuck = rowsAfterOneRun.filter(({ status }) => status === "provisioning")
    .map(({ machine_id }) =>
      `I1: ${machine_id} is provisioning after its deadline and a reconcile`
    );
  const left = rows.filter(({ status }) => status === "provisioning")
    .map(({ machine_id }) => `I1: ${machine_id} is provisioning at the end`);
  const keys = new Map<string, string[]>();
  for (const { user_id, idempotency_key, machine_id } of rows) {
    if (user_id === null || idempotency_key === null) continue;
    const owner = `${idempotency_key} of user ${user_id}`;
    keys.set(owner, [...keys.get(owner) ?? [], machine_id]);
  }
  const doubled = [...keys].filter(([, machines]) => machines.length > 1)
    .map(([owner, machines]) => `I3: ${owner} has several rows: ${machines.join(", ")}`);
  return [...stuck, ...left, ...doubled];
}

/** I1: a row that one run of reconcile works on is left alone by another at the same time. */
function leaseViolations({ asks }: Observation): string[] {
  const runs = asks.flatMap(({ kind, step, answer }) =>
    kind === "reconcile" && typeof answer === "object"
      ? [{ from: step, to: answer.step, actions: answer.body.actions ?? [] }]
      : []
  );
  return runs.flatMap((run, index) =>
    runs.slice(index + 1).filter((other) => other.from < run.to).flatMap((other) =>
      other.actions.filter(({ action, machineId }) =>
        action !== "failed" &&
        run.actions.some((a) => a.action === action && a.machineId === machineId)
      ).map(({ action, machineId }) => `I1: two runs of reconcile at once: ${action} ${machineId}`)
    )
  );
}

/** I3 and I4. */
function machineViolations(seen: Observation): string[] {
  const { machines, rows, foreignIds, calls } = seen;
  const found: string[] = [];
  const ours = machines.filter(({ id }) => !foreignIds.includes(id));
  const rowByName = new Map(rows.map((row) => [row.machine_id, row]));
  for (const machine of ours.filter(({ live }) => live)) {
    const row = rowByName.get(machine.name);
    if (row?.status !== "running" || row.fly_machine_id !== machine.id) {
      const state = row ? `${row.status} with machine ${row.fly_machine_id}` : "missing";
      found.push(`I4: machine ${machine.id} (${machine.name}) lives, and its row is ${state}`);
    }
  }
  const living = new Set(ours.filter(({ live }) => live).map(({ id }) => id));
  for (const row of rows.filter(({ status }) => status === "running")) {
    if (living.has(row.fly_machine_id ?? "")) continue;
    found.push(`I4: ${row.machine_id} is running, and its machine is gone`);
  }
  for (const { id, name, live } of machines) {
    if (foreignIds.includes(id) && !live) found.push(`I4: ${name}, not ours, was destroyed`);
  }
  for (const name of new Set(ours.map((machine) => machine.name))) {
    if (!rowByName.has(name)) found.push(`I3: machine ${name} never had a row`);
    const lives = ours.filter((machine) => machine.name === name).map(({ history }) => ({
      from: history[0]?.at ?? 0,
      to: history.find(({ state }) => state === "destroyed")?.at ?? Infinity,
    }));
    const overlap = lives.some((one, i) =>
      lives.some((other, j) => j > i && one.from < other.to && other.from < one.to)
    );
    if (overlap) found.push(`I3: two machines named ${name} lived at once`);
  }
  return [...found, ...blindCreates(calls)];
}

/**
 * I3: after a create whose outcome is open, the next for the same name is sent only after a look.
 * That Fly.io refuses a second machine of a living name is the second line of defence.
 */
function blindCreates(calls: Observation["calls"]): string[] {
  const found: string[] = [];
  const creates = calls.filter(({ action }) => action === "create");
  for (const [index, create] of creates.entries()) {
    const before = creates.slice(0, index).findLast(({ subject }) => subject === create.subject);
    if (before === undefined || isRefusal(before.seen)) continue;
    const looked = calls.slice(before.number + 1, create.number).some((call) =>
      call.action === "list" && call.isolate === create.isolate
    );
    if (!looked) {
      found.push(`I3: ${create.subject} was created again without a look (${before.seen} before)`);
    }
  }
  return found;
}

/** Whether the status that the caller saw says that nothing was created. */
function isRefusal(seen: string | null): boolean {
  const status = Number(seen?.slice(0, 3));
  // Lack of capacity is told by the body, whatever the status; 503 is one that Fly.io was seen to use.
  return status >= 400 && status < 500 && status !== 408 || seen === "503";
}

function secretViolations(seen: Observation, secrets: Record<string, string>): string[] {
  const places: [string, string][] = [
    ["a log line", seen.lines.map(({ line }) => line).join("\n")],
    ["the database", seen.databaseText],
    ["an alert", seen.alerts.join("\n")],
    [
      "an answer",
      seen.asks.map(({ answer }) =>
        answer === undefined || answer === "lost"
          ? ""
          : `${answer.text} ${JSON.stringify([...answer.headers])}`
      ).join("\n"),
    ],
  ];
  return Object.entries(secrets).flatMap(([name, secret]) =>
    places.filter(([, text]) => fingerprint(secret).some((form) => text.includes(form)))
      .map(([place]) => `I6: ${name} is in ${place}`)
  );
}
