/** Every invariant of a system that has come to rest: after kills, outages or load. */
import type { SecretFinder } from "./secrets.ts";
import { type AnsweredSystem, untrueAnswers } from "./answers.ts";
import { duplicateMachines, duplicateRows, machinesWithoutRow, splitKeys } from "./creates.ts";
import { falseAlarms, runningWithoutMachine, unseenApps, unseenMachines } from "./leftovers.ts";
import { unloggedFailures } from "./log.ts";
import type { PoolEntry } from "./evidence.ts";
import { entriesOfUsers, machinesOfTwoOwners } from "./pool.ts";
import { openRows } from "./rows.ts";
import { leaks } from "./secrets.ts";

/** What is left of a run. */
export interface SettledSystem extends AnsweredSystem {
  /** Apps that machines have of their own, by name. */
  apps: string[];
  /** The warm pool, and the names of all machines that ever were in it. */
  pool: PoolEntry[];
  pooledNames: string[];
  /** All output of all function processes. */
  lines: string[];
  /** What must appear nowhere. */
  secrets: SecretFinder;
}

/** Each broken invariant as a sentence that starts with its name. */
export function violations(system: SettledSystem): string[] {
  const { rows, events, machines, calls, lines } = system;
  const answers = calls.map(({ answer }) => answer && [answer.text, ...answer.headers]);
  return [
    ...openRows(rows, "at the end"),
    ...untrueAnswers(system),
    ...duplicateRows(rows),
    ...duplicateMachines(rows, machines, "before-running"),
    ...machinesWithoutRow(everHeld(system), machines),
    ...machinesOfTwoOwners(rows.map((row) => ({ row }))),
    ...entriesOfUsers(rows, system.pool),
    ...splitKeys(calls),
    ...unseenMachines(rows, machines, system.pool),
    ...unseenApps(rows, { apps: system.apps, foreignApps: [] }, system.pool),
    ...runningWithoutMachine(rows, machines, "started"),
    ...falseAlarms(events),
    ...unloggedFailures(calls.map(({ answer }) => answer), lines),
    ...leaks(system.secrets, [
      ["a log line", lines.join("\n")],
      ["a row", JSON.stringify(rows)],
      ["an event", JSON.stringify(events)],
      ["an answer", JSON.stringify(answers)],
    ]),
  ];
}

/** What may have had a machine: rows under each of their names, and entries of the pool. */
function everHeld({ rows, pooledNames }: SettledSystem): { machine_id: string }[] {
  return [
    ...rows.flatMap(({ machine_id, former_machine_ids }) => [machine_id, ...former_machine_ids]),
    ...pooledNames,
  ].map((machine_id) => ({ machine_id }));
}
