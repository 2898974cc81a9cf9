/**
 * What a long history costs: the calls of the function at a thousand, a hundred thousand and a
 * million machines, on a real Postgres, by time and by plan.
 *
 * `deno task bench:growth [--sizes 1000,100000,1000000] [--rounds N]`
 */
import { parseArgs } from "node:util";
import postgres, { type Sql } from "postgres";
import { startPostgres } from "../../dev/stack/postgres/mod.ts";
import { startSupabase } from "../../dev/stack/supabase/mod.ts";
import { circumstances, type Goal, printTable, progress, report } from "../support/report.ts";
import { type Spread, spread } from "../support/statistics.ts";
import { growTo } from "./history.ts";
import { OPERATIONS } from "./operations.ts";
import { PlanLog, type Work } from "./plans.ts";

/**
 * Logarithmic, in the blocks of a B-tree: one of a thousand entries is a page or two, one of a million
 * has three levels, and ten times as many entries hardly ever add one.
 */
const GOALS = { fromFirstToLast: 3, inTheLastStep: 1.5 };
/** A table this small is read faster whole than by an index, and stays this small. */
const SMALL_TABLE_ROWS = 5_000;

const WARM_UP = 5;

interface Measured {
  ms: Spread;
  work: Work;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      sizes: { type: "string", default: "1000,100000,1000000" },
      rounds: { type: "string", default: "60" },
    },
  });
  const sizes = values.sizes.split(",").map(Number);
  const rounds = Number(values.rounds);
  const found = { circumstances: circumstances() };
  await using server = await startPostgres({
    settings: { shared_buffers: "512MB", maintenance_work_mem: "256MB", max_wal_size: "4GB" },
  });
  const supabase = await startSupabase({ databaseUrl: server.url });
  const plans = new PlanLog();
  const sql = postgres(server.url, { max: 1, onnotice: plans.onNotice });
  const measured = new Map<string, Measured[]>(OPERATIONS.map(({ name }) => [name, []]));
  try {
    for (const size of sizes) {
      progress(`growing to ${size} machines`);
      await growTo(sql, size);
      progress(`measuring at ${size} machines`);
      for (const { name, run } of OPERATIONS) {
        measured.get(name)?.push(await measure(sql, plans, rounds, run));
      }
    }
  } finally {
    await sql.end();
    await supabase.close();
  }

  printTable(
    `Median milliseconds (99th percentile) and 8 KiB blocks read, ${rounds} times each`,
    [...measured].map(([name, results]) => ({
      operation: name,
      ...Object.fromEntries(results.map(({ ms, work }, index) => [
        `${sizes[index]} machines`,
        `${ms.median.toFixed(2)} (${ms.p99.toFixed(2)}) ms ${
          String(work.blocks).padStart(5)
        } blocks`,
      ])),
    })),
  );
  const scans = [...measured].flatMap(([name, results]) =>
    results.flatMap(({ work }, index) =>
      work.fullScans.map((scan) => ({ operation: name, machines: sizes[index] ?? 0, ...scan }))
    )
  );
  const whole = Map.groupBy(scans, ({ table }) => table);
  printTable(
    "Tables that were read whole, as an index is not worth it",
    [...whole].map(([table, reads]) => ({
      table,
      "rows at most": Math.max(...reads.map(({ rows }) => rows)),
    })),
  );
  await report("growth", {
    ...found,
    settings: { sizes, rounds },
    operations: Object.fromEntries(measured),
    goals: goals(measured, scans),
  });
}

async function measure(
  sql: Sql,
  plans: PlanLog,
  rounds: number,
  run: (sql: Sql, round: number) => Promise<unknown>,
): Promise<Measured> {
  // What earlier operations left behind is not this one's doing.
  await sql.unsafe("vacuum cloud_machines, machine_events, fly_create_slots");
  // The first few fill the session's caches of plans and of the catalogue.
  for (let round = 0; round < WARM_UP; round++) await run(sql, round);
  const work = await plans.during(sql, () => run(sql, WARM_UP));
  const samples: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const startedAt = performance.now();
    await run(sql, WARM_UP + 1 + round);
    samples.push(performance.now() - startedAt);
  }
  return { ms: spread(samples), work };
}

function goals(
  measured: Map<string, Measured[]>,
  scans: { operation: string; table: string; rows: number }[],
): Goal[] {
  const large = scans.filter(({ rows }) => rows > SMALL_TABLE_ROWS);
  return [
    blocksGoal(measured, "from the smallest to the largest", GOALS.fromFirstToLast, 0),
    blocksGoal(measured, "in the last step", GOALS.inTheLastStep, -2),
    {
      goal: "no growing table is read whole",
      measured: large.map(({ operation, table }) => `${operation}: ${table}`).join(", ") || "none",
      met: large.length === 0,
    },
  ];
}

/** How much more blocks the last size costs than the one at `index`, for the worst operation. */
function blocksGoal(
  measured: Map<string, Measured[]>,
  step: string,
  most: number,
  index: number,
): Goal {
  const factors = [...measured].map(([name, results]) => {
    const blocks = (result: Measured | undefined) => Math.max(1, result?.work.blocks ?? 0);
    return { name, factor: blocks(results.at(-1)) / blocks(results.at(index)) };
  });
  const worst = factors.reduce((a, b) => (b.factor > a.factor ? b : a));
  return {
    goal: `blocks grow at most ${most} × ${step}`,
    measured: `${worst.factor.toFixed(2)} × (${worst.name})`,
    met: worst.factor <= most,
  };
}

await main();
