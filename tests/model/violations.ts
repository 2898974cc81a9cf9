/** Judges a run of the model test: every way in which it broke one of the invariants I1 to I6 and I9. */
import { answerViolations } from "../invariants/answers-in-time.ts";
import {
  blindCreates,
  duplicateMachines,
  duplicateRows,
  machinesWithoutRow,
} from "../invariants/creates.ts";
import {
  destroyedForeigners,
  runningWithoutMachine,
  touchedApps,
  unseenApps,
  unseenMachines,
} from "../invariants/leftovers.ts";
import { entriesOfUsers, machinesOfTwoOwners, untrueEntries } from "../invariants/pool.ts";
import { brokenLeases, openRows } from "../invariants/rows.ts";
import { leaks, type SecretFinder } from "../invariants/secrets.ts";
import { hastyDecisions, wrongDestructions } from "../invariants/mistakes.ts";
import { isQuiet, type ReceivedAnswer } from "./callers.ts";
import { modelLogViolations } from "./violations-of-logs.ts";
import type { Observation } from "./run-schedule.ts";

/** @returns one sentence for each, beginning with the invariant; empty when all hold */
export function violations(seen: Observation, secrets: SecretFinder): string[] {
  const { rows, machines, foreignIds } = seen;
  const ours = machines.filter(({ id }) => !foreignIds.includes(id));
  return [
    ...progressViolations(seen),
    ...openRows(seen.rowsAfterOneRun, "after its deadline and a reconcile"),
    ...openRows(rows, "at the end"),
    ...brokenLeases(reconcileRuns(seen)),
    ...answerViolations(seen),
    ...duplicateRows(rows),
    ...duplicateMachines(rows, ours, "after-destruction"),
    ...machinesWithoutRow(everHeld(seen), ours),
    ...machinesOfTwoOwners(seen.versions),
    ...entriesOfUsers(rows, seen.pool),
    ...untrueEntries(seen.pool, ours, seen.poolSize),
    ...blindCreates(seen.calls),
    ...unseenMachines(rows, ours, seen.pool),
    ...runningWithoutMachine(rows, ours, "live"),
    ...destroyedForeigners(machines, foreignIds),
    ...unseenApps(rows, seen, seen.pool),
    ...touchedApps(ours, seen),
    ...wrongDestructions(
      seen.versions,
      seen.calls.filter(({ action, effectAtMs }) =>
        effectAtMs !== null && (action === "delete" || action === "app-delete")
      ),
    ),
    ...hastyDecisions(sightingRuns(seen)),
    ...modelLogViolations(seen),
    ...leaks(secrets, [
      ["a log line", seen.lines.map(({ line }) => line).join("\n")],
      ["the database", seen.databaseText],
      ["an alert", seen.alerts.join("\n")],
      [
        "an answer",
        answersOf(seen).map(({ text, headers }) => `${text} ${JSON.stringify([...headers])}`)
          .join("\n"),
      ],
    ]),
  ];
}

/** What may have had a machine: rows, and entries of the pool, gone or not. */
function everHeld({ versions, pooledNames }: Observation): { machine_id: string }[] {
  return [
    ...versions.map(({ row }) => row),
    ...pooledNames.map((machine_id) => ({ machine_id })),
  ];
}

/** Every request is answered, reconcile comes to rest, and no rejection goes unhandled. */
function progressViolations(seen: Observation): string[] {
  const found = seen.requests.filter(({ answer }) => answer === undefined)
    .map(({ requestId, kind }) => `hang: ${requestId} (${kind}) was never answered`);
  if (!seen.settled) found.push("hang: requests or background work did not end in virtual time");
  for (const reason of seen.unhandled) {
    const text = reason instanceof Error ? reason.stack ?? reason.message : String(reason);
    found.push(`unhandled rejection: ${text}`);
  }
  const last = seen.reconcileRuns.slice(-2);
  const quiet = last.length === 2 && last.every((run) => run !== null && isQuiet(run));
  if (!quiet) {
    found.push(`hang: reconcile does not come to rest: ${JSON.stringify(seen.reconcileRuns)}`);
  }
  return found;
}

function reconcileRuns({ requests }: Observation) {
  return requests.flatMap(({ kind, step, answer }) =>
    kind === "reconcile" && typeof answer === "object"
      ? [{ from: step, to: answer.step, actions: answer.body.actions ?? [] }]
      : []
  );
}

function sightingRuns({ requests }: Observation) {
  return requests.filter(({ kind }) => kind === "reconcile").map(({ atMs, answer }) =>
    typeof answer === "object"
      ? { fromMs: atMs, toMs: answer.atMs, actions: answer.body.actions ?? [] }
      : { fromMs: atMs, toMs: atMs, actions: [] }
  );
}

function answersOf({ requests }: Observation): ReceivedAnswer[] {
  return requests.flatMap(({ answer }) => typeof answer === "object" ? [answer] : []);
}
