/**
 * The big run of the lives: `deno task test:life`, with `--lives N` (default 10,000), `--seed N`
 * (default: random, always printed); `--life N` with `--seed N` (that life alone, with everything that
 * happened); or `--batch JSON` (the same for a batch that was printed).
 */
import { parseArgs } from "node:util";
import { ModelWorld } from "../model/model-world.ts";
import { checkLives, type Finding, findingsOf, type Totals } from "./check-lives.ts";
import { describeBatch } from "./describe-batch.ts";
import { drawBatch, LIVES_PER_BATCH } from "./draw-batch.ts";
import type { Batch } from "./life.ts";
import { runBatch } from "./run-batch.ts";
import { shrink } from "./shrink.ts";

/** Of how many different violations a small example is looked for. */
const EXAMPLES = 8;

const { values } = parseArgs({
  args: Deno.args,
  options: {
    lives: { type: "string", default: "10000" },
    seed: { type: "string" },
    life: { type: "string" },
    batch: { type: "string" },
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
  await using world = await ModelWorld.open(LIVES_PER_BATCH);
  if (values.batch !== undefined) return await one(world, JSON.parse(values.batch) as Batch);
  const seed = wholeNumber("seed", values.seed ?? String(Math.floor(Math.random() * 2 ** 31)));
  if (values.life === undefined) return await many(world, seed);
  const number = wholeNumber("life", values.life);
  const batch = drawBatch(seed, Math.floor(number / LIVES_PER_BATCH));
  return await one(world, {
    ...batch,
    lives: batch.lives.filter((life) => life.number === number),
  });
}

async function many(world: ModelWorld, seed: number): Promise<number> {
  const lives = wholeNumber("lives", values.lives);
  const startedAt = performance.now();
  print(`seed ${seed}, ${lives} lives`);
  let printed = 0;
  const totals = await checkLives(world, {
    seed,
    lives,
    onProgress: ({ lives, findings }) => {
      // At once: the rest of a long run takes a quarter of an hour.
      for (const { text, batch, life } of findings.slice(printed)) {
        print(`  found in life ${batch.lives[life ?? 0]?.number}: ${text}`);
      }
      printed = findings.length;
      if (lives % 500 !== 0) return;
      const seconds = Math.round((performance.now() - startedAt) / 1_000);
      print(`${lives} lives, ${seconds} s, violations: ${findings.length}`);
    },
  });
  report(totals);
  const byShape = Map.groupBy(totals.findings, ({ shape }) => shape);
  const sorted = [...byShape.values()].sort((a, b) => b.length - a.length);
  for (const [index, findings] of sorted.entries()) {
    const [first] = findings;
    if (first === undefined) continue;
    print(`\n${first.text}\n  so or alike ${findings.length} times`);
    if (index < EXAMPLES) await example(world, seed, first);
  }
  print(`violations: ${totals.findings.length}`);
  return totals.findings.length === 0 ? 0 : 1;
}

async function example(world: ModelWorld, seed: number, finding: Finding): Promise<void> {
  const life = finding.batch.lives[finding.life ?? -1];
  if (life) {
    print(`  life ${life.number}: deno task test:life --seed ${seed} --life ${life.number}`);
  }
  if (!values.shrink) return;
  const { text, batch } = await shrink(world, finding);
  print(`  ${text}\n  deno task test:life --batch '${JSON.stringify(batch)}'`);
}

async function one(world: ModelWorld, batch: Batch): Promise<number> {
  const seen = await runBatch(world, batch);
  for (const line of describeBatch(seen)) print(line);
  const found = findingsOf(world, seen);
  for (const { text } of found) print(text);
  print(`violations: ${found.length}`);
  return found.length === 0 ? 0 : 1;
}

function report(totals: Totals): void {
  print(`lives: ${totals.lives}, together ${Math.round(totals.virtualHours)} hours`);
  print(`reconciles: ${totals.reconciles}`);
  print(`requests to the function: ${totals.requests - totals.reconciles}`);
  print(`calls to upstreams: ${totals.upstreamCalls}`);
  print(`isolates that ended at some await: ${totals.isolatesEnded}`);
  table("events at Fly.io, and what hides a machine", totals.events);
  table("weather", totals.weather);
  table("faults", totals.faults);
  table("answers", totals.answers);
  table("rows", totals.transitions);
}

function table(title: string, counts: Map<string, number>): void {
  const total = [...counts.values()].reduce((sum, n) => sum + n, 0);
  print(`${title}: ${total}`);
  for (const [what, n] of [...counts].sort(([a], [b]) => a < b ? -1 : 1)) print(`  ${n} ${what}`);
}
