/** How a benchmark reports what it found: a table to read, a JSON file to compute with. */
import { cpus, release } from "node:os";

const RESULTS = new URL("../results/", import.meta.url);

/** A goal of the project, and whether this run met it. */
export interface Goal {
  goal: string;
  measured: string;
  met: boolean;
}

/** The machine and the moment, without which no number means anything. */
export interface Circumstances {
  at: string;
  cpu: string;
  cores: number;
  kernel: string;
  /** What the servers under measurement ran with. */
  deno: string;
  /** Load average of the last minute when the run began: above 1, other programs were running too. */
  loadAtStart: number;
}

/** To be called before anything is measured. `deno`: the version measured, if it is not this one. */
export function circumstances(deno: string = Deno.version.deno): Circumstances {
  const processors = cpus();
  return {
    at: new Date().toISOString(),
    cpu: processors[0]?.model ?? "unknown",
    cores: processors.length,
    kernel: release(),
    deno,
    loadAtStart: Deno.loadavg()[0] ?? 0,
  };
}

/** Prints rows as a table with the columns of the first one. */
export function printTable(title: string, rows: readonly Record<string, string | number>[]): void {
  const columns = Object.keys(rows[0] ?? {});
  const cells = [columns, ...rows.map((row) => columns.map((column) => String(row[column] ?? "")))];
  const widths = columns.map((_, index) =>
    Math.max(...cells.map((row) => row[index]?.length ?? 0))
  );
  // Numbers are compared by their last digit, words by their first letter.
  const align = (cell: string, index: number) =>
    index === 0 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0);
  const [head = [], ...body] = cells.map((row) => row.map(align).join("   ").trimEnd());
  print(`\n${title}\n${head}\n${"-".repeat(head.length)}\n${body.join("\n")}`);
}

export function print(text: string): void {
  // deno-lint-ignore no-console -- what a benchmark is for
  console.log(text);
}

/** Reports progress, on the terminal only. */
export function progress(text: string): void {
  // deno-lint-ignore no-console -- beside the result
  console.error(text);
}

/**
 * Writes `bench/results/<name>.json` and prints the goals. The process's exit code does not depend on
 * them: a busy machine is no fault of the code, and the tests guard what does not depend on time.
 */
export async function report(
  name: string,
  result: { circumstances: Circumstances; goals: Goal[] } & Record<string, unknown>,
): Promise<void> {
  printTable(
    "Goals",
    result.goals.map(({ goal, measured, met }) => ({
      goal,
      measured,
      "": met ? "met" : "MISSED",
    })),
  );
  const { cpu, cores, deno, loadAtStart } = result.circumstances;
  print(`\n${cores} × ${cpu}, Deno ${deno}, load ${loadAtStart.toFixed(2)} at the start`);
  await Deno.mkdir(RESULTS, { recursive: true });
  const file = new URL(`${name}.json`, RESULTS);
  await Deno.writeTextFile(file, `${JSON.stringify(result, null, 2)}\n`);
  print(`Written to bench/results/${name}.json`);
}
