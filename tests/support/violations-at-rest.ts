/** The invariants that hold at any time when no request is under way, on what a stack left behind. */
import { duplicateMachines, duplicateRows } from "../invariants/creates.ts";
import type { MachineRow } from "../invariants/evidence.ts";
import { forgottenMachines, runningWithoutMachine } from "../invariants/leftovers.ts";
import { openRows } from "../invariants/rows.ts";
import { leaks, type SecretFinder } from "../invariants/secrets.ts";
import type { LocalSupabase } from "../../dev/stack/supabase/mod.ts";
import type { FlySimulator } from "../../dev/stack/fly/mod.ts";

const TABLES = ["cloud_machines", "machine_events", "reconcile_runs"];

/** Every violation, one sentence each; none when all is well. */
export async function violationsAtRest({ supabase, simulator, secrets }: {
  supabase: LocalSupabase;
  simulator: FlySimulator;
  secrets: SecretFinder;
}): Promise<string[]> {
  const stored = await Promise.all(
    TABLES.map(async (table) =>
      [
        `the table ${table}`,
        JSON.stringify(await supabase.sql(`select * from ${table}`)),
      ] as const
    ),
  );
  const rows = await supabase.sql<MachineRow>("select * from cloud_machines");
  // Tests also make machines of their own, under other names, with metadata that is not true.
  const names = new Set(rows.map(({ machine_id }) => machine_id));
  const machines = simulator.machines().filter(({ name }) => names.has(name));
  return [
    ...openRows(rows, "at the end"),
    ...duplicateRows(rows),
    ...duplicateMachines(rows, machines, "never"),
    ...runningWithoutMachine(rows, machines, "live"),
    ...forgottenMachines(rows, machines),
    ...leaks(secrets, stored),
  ];
}
