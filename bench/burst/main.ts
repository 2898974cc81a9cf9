/**
 * A hundred users at the same moment at Fly.io's real limit: how long until the last one has a
 * machine, how often Fly.io refused, how many failed; beside it, what retrying alone would do.
 *
 * `deno task bench:burst [--calls N] [--seeds N]`; every run is in virtual time and repeatable.
 */
import { parseArgs } from "node:util";
import { FLY_RATE_LIMITS } from "../../dev/stack/fly/mod.ts";
import { circumstances, type Goal, printTable, progress, report } from "../support/report.ts";
import { median } from "../support/statistics.ts";
import { fullJitter, type Pause, runStrategy, sleepAndRetry } from "./strategies.ts";
import { type Burst, BurstWorld } from "./burst-world.ts";

const START_DELAY_MS = 1_000;
const BUDGET_MS = 150_000;
const GOALS = { overMinimum: 1.1, refused: 3 };

interface Row {
  makespanMs: number;
  refused: number;
  failures: number;
  creates: { atMs: number; status: number }[];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { calls: { type: "string", default: "100" }, seeds: { type: "string", default: "3" } },
  });
  const [calls, seeds] = [Number(values.calls), Number(values.seeds)];
  const found = { circumstances: circumstances() };
  await using world = await BurstWorld.open();

  const alone = await world.run({ calls: [{ user: 0 }], startDelayMs: START_DELAY_MS });
  const { perSecond, burst } = FLY_RATE_LIMITS.other;
  // The last create cannot be sent before the bucket has a token for it.
  const minimumMs = alone.makespanMs + Math.max(0, calls - burst) / perSecond * 1_000;

  const rows: Record<string, Row[]> = {
    "ours: slots in Postgres": [],
    "sleep 1 s and retry": [],
    "backoff with full jitter": [],
  };
  const [ours = [], sleeping = [], jitter = []] = Object.values(rows);
  for (let seed = 1; seed <= seeds; seed++) {
    progress(`burst of ${calls}, seed ${seed} of ${seeds}`);
    ours.push(rowOf(
      await world.run({
        calls: Array.from({ length: calls }, (_, user) => ({ user })),
        startDelayMs: START_DELAY_MS,
        seed,
      }),
    ));
    const strategy = (pause: Pause) =>
      runStrategy(pause, { calls, budgetMs: BUDGET_MS, startDelayMs: START_DELAY_MS, seed });
    sleeping.push(await strategy(sleepAndRetry));
    jitter.push(await strategy(fullJitter));
  }

  const medians = Object.fromEntries(
    Object.entries(rows).map(([name, results]) => [name, medianOf(results)]),
  );
  printTable(
    `${calls} users at once, ${perSecond} create per second in bursts of ${burst}, ` +
      `${BUDGET_MS / 1_000} s each; medians of ${seeds} seeds`,
    Object.entries(medians).map(([name, { makespanMs, refused, failures }]) => ({
      "": name,
      "last machine after s": (makespanMs / 1_000).toFixed(1),
      "× minimum": (makespanMs / minimumMs).toFixed(3),
      "429s": refused,
      "failed calls": failures,
    })),
  );
  await report("burst", {
    ...found,
    settings: { calls, seeds, START_DELAY_MS, BUDGET_MS, minimumMs },
    medians,
    // One run of each, to be drawn.
    timelines: Object.fromEntries(
      Object.entries(rows).map(([name, [first]]) => [name, first?.creates ?? []]),
    ),
    goals: goals(ours, minimumMs),
  });
}

function rowOf({ outcomes, makespanMs, refused, creates }: Burst): Row {
  const failures = outcomes.filter(({ status }) => status !== 200).length;
  return { makespanMs, refused, failures, creates };
}

function medianOf(rows: Row[]): Omit<Row, "creates"> {
  return {
    makespanMs: median(rows.map(({ makespanMs }) => makespanMs)),
    refused: median(rows.map(({ refused }) => refused)),
    failures: median(rows.map(({ failures }) => failures)),
  };
}

/** The worst of all seeds has to meet them. */
function goals(ours: Row[], minimumMs: number): Goal[] {
  const worst = {
    makespanMs: Math.max(...ours.map(({ makespanMs }) => makespanMs)),
    refused: Math.max(...ours.map(({ refused }) => refused)),
    failures: Math.max(...ours.map(({ failures }) => failures)),
  };
  const ratio = worst.makespanMs / minimumMs;
  return [
    {
      goal: `makespan at most ${GOALS.overMinimum} × the minimum`,
      measured: `${ratio.toFixed(3)} ×`,
      met: ratio <= GOALS.overMinimum,
    },
    {
      goal: `under ${GOALS.refused} 429s`,
      measured: String(worst.refused),
      met: worst.refused < GOALS.refused,
    },
    { goal: "no failed call", measured: String(worst.failures), met: worst.failures === 0 },
  ];
}

await main();
