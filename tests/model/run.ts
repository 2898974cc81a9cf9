/**
 * The big run of the model test: `deno task test:faults`, with `--runs N` (default 2000), `--seed N`
 * (default: random, always printed), `--no-shrink` (report the first failing schedule as it is), or
 * `--schedule JSON` (one schedule, with everything it did).
 */
import { parseArgs } from "node:util";
import { checkRandomSchedules, InvariantBroken, type Totals } from "./model.ts";
import { describeRun } from "./describe-run.ts";
import { runSchedule } from "./run-schedule.ts";
import type { Schedule } from "./schedule.ts";
import { violations } from "./violations.ts";
import { ModelWorld } from "./model-world.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    runs: { type: "string", default: "2000" },
    seed: { type: "string" },
    schedule: { type: "string" },
    shrink: { type: "boolean", default: true },
  },
  allowNegative: true,
});

function wholeNumber(name: string, text: string): number {
  if (!/^\d+$/.test(text)) throw new Error(`--${name} must be a whole number, not ${text}`);
  return Number(text);
}

const print = globalThis.console.log.bind(globalThis.console);

// Postgres in WebAssembly sets the process's exit code as it closes, so this is the last step.
Deno.exit(await run());

async function run(): Promise<number> {
  await using world = await ModelWorld.open();
  return values.schedule === undefined ? await many(world) : await one(world, values.schedule);
}

async function many(world: ModelWorld): Promise<number> {
  const runs = wholeNumber("runs", values.runs);
  const seed = wholeNumber("seed", values.seed ?? String(Math.floor(Math.random() * 2 ** 31)));
  const startedAt = performance.now();
  print(`seed ${seed}, ${runs} schedules`);
  try {
    const totals = await checkRandomSchedules(world, {
      seed,
      runs,
      shrink: values.shrink,
      onProgress: ({ schedules }) => {
        if (schedules % 100 === 0) {
          print(`${schedules} schedules, ${Math.round((performance.now() - startedAt) / 1_000)} s`);
        }
      },
    });
    report(totals);
    print("violations: 0");
    return 0;
  } catch (error) {
    if (!(error instanceof InvariantBroken)) throw error;
    print(error.message);
    print("violations: at least 1");
    return 1;
  }
}

async function one(world: ModelWorld, json: string): Promise<number> {
  const seen = await runSchedule(world, JSON.parse(json) as Schedule);
  for (const line of describeRun(seen)) print(line);
  const found = violations(seen, world.secrets);
  for (const violation of found) print(violation);
  print(`violations: ${found.length}`);
  return found.length === 0 ? 0 : 1;
}

function report(totals: Totals): void {
  print(`schedules: ${totals.schedules}`);
  print(`requests to the function: ${totals.requests}`);
  print(`calls to upstreams: ${totals.upstreamCalls}`);
  print(`isolates that ended at some await: ${totals.crashes}`);
  table("answers", totals.answers);
  table("faults", totals.faults);
  table("machines", totals.machineFaults);
  table("rows at the end", totals.rows);
}

function table(title: string, counts: Map<string, number>): void {
  const total = [...counts.values()].reduce((sum, n) => sum + n, 0);
  print(`${title}: ${total}`);
  for (const [what, n] of [...counts].sort(([a], [b]) => a < b ? -1 : 1)) print(`  ${n} ${what}`);
}
