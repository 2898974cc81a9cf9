/**
 * How long from a click to the first WebSocket message from the user's own machine, in virtual time with
 * Fly.io's published times and limits: created on demand, from a pool of stopped machines, from a pool of
 * started ones; alone, a hundred at once, over a day; and with creates that get stuck.
 *
 * `deno task bench:ready [--hours N]`; every run is repeatable.
 */
import { parseArgs } from "node:util";
import { seededRandom } from "../../dev/stack/fly/mod.ts";
import { circumstances, type Goal, printTable, progress, report } from "../support/report.ts";
import { median, percentile } from "../support/statistics.ts";
import { claimBare, startBare } from "./floor.ts";
import { CONNECT_MS, FLY, SANDBOXES } from "./published.ts";
import { type Ready, type ReadyOptions, ReadyWorld } from "./ready-world.ts";

const BURST = 100;
const ALONE = 30;
const DAY = { perHour: 30, pool: 5 };
const STUCK = { users: 300, every: 100 };

interface Row {
  /** Milliseconds until the answer, and until the first message. */
  p50: number;
  p99: number;
  last: number;
  messageP50: number;
  messageP99: number;
  failed: number;
  misses: number;
  creates: number;
  databaseCalls: number;
  standbyHours: number;
}

const STATES = ["stopped", "started"] as const;
const spaced = (count: number, everyMs: number) =>
  Array.from({ length: count }, (_, n) => n * everyMs);
const atOnce = (count: number) => spaced(count, 0);

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { hours: { type: "string", default: "24" } } });
  const hours = Number(values.hours);
  const found = circumstances();
  await using world = await ReadyWorld.open();
  const rows: Record<string, Row> = {};
  const run = async (name: string, options: ReadyOptions) => {
    progress(name);
    return rows[name] = rowOf(await world.run(options), options);
  };

  // One after the other, each long after the one before.
  const alone = spaced(ALONE, 1_900);
  await run("one user, created", { arrivalsMs: alone, pool: null });
  await run("one user, empty pool", {
    arrivalsMs: alone,
    pool: { size: ALONE, state: "stopped", filled: false },
  });
  for (const state of STATES) {
    await run(`one user, pool of ${state}`, { arrivalsMs: alone, pool: { size: ALONE, state } });
  }
  await run(`${BURST} at once, created`, { arrivalsMs: atOnce(BURST), pool: null });
  for (const state of STATES) {
    const pool = { size: BURST, state };
    await run(`${BURST} at once, pool of ${state}`, { arrivalsMs: atOnce(BURST), pool });
  }
  const day = poisson(hours);
  for (const state of STATES) {
    const pool = { size: DAY.pool, state };
    await run(`${hours} h, pool of ${DAY.pool} ${state}`, { arrivalsMs: day, pool });
  }
  const many = { arrivalsMs: spaced(STUCK.users, 1_900), pool: null };
  const env = { FLY_REGION_FALLBACK: "true" };
  await run("none stuck, fallback", { ...many, env });
  await run("1 % stuck, fallback", { ...many, env, stuckEvery: STUCK.every });

  const floors = {
    stopped: median(
      await world.run({ arrivalsMs: [], pool: { size: ALONE, state: "stopped" } }, startBare),
    ),
    started: median(
      await world.run({ arrivalsMs: [], pool: null }, (scenario) => claimBare(scenario, ALONE)),
    ),
  };
  print(rows, floors);
  await report("ready", {
    circumstances: found,
    settings: { BURST, ALONE, DAY, STUCK, hours, FLY, CONNECT_MS },
    rows,
    floors,
    sandboxes: SANDBOXES,
    goals: goals(rows, floors),
  });
}

/** Arrivals of a day, evenly likely at any moment. */
function poisson(hours: number): number[] {
  const random = seededRandom(20_261_129);
  const times: number[] = [];
  for (let atMs = 0;;) {
    atMs += -Math.log(1 - random()) * 3_600_000 / DAY.perHour;
    if (atMs > hours * 3_600_000) return times;
    times.push(Math.round(atMs));
  }
}

function rowOf(
  { outcomes, creates, databaseCalls, standbySeconds }: Ready,
  { pool }: ReadyOptions,
): Row {
  const answered = outcomes.map(({ answeredMs }) => answeredMs);
  const messages = outcomes.map(({ answeredMs, pooled }) =>
    answeredMs + CONNECT_MS + (pooled && pool?.state === "started" ? 0 : FLY.programMs)
  );
  return {
    p50: median(answered),
    p99: percentile(answered, 0.99),
    last: Math.max(...answered),
    messageP50: median(messages),
    messageP99: percentile(messages, 0.99),
    failed: outcomes.filter(({ status }) => status !== 200).length,
    misses: outcomes.filter(({ pooled }) => !pooled).length / outcomes.length,
    creates,
    databaseCalls,
    standbyHours: standbySeconds / 3_600,
  };
}

function print(rows: Record<string, Row>, floors: Record<string, number>): void {
  const ms = (value: number) => Math.round(value);
  printTable(
    "Milliseconds in virtual time",
    Object.entries(rows).map(([name, row]) => ({
      "": name,
      "answer p50": ms(row.p50),
      p99: ms(row.p99),
      last: ms(row.last),
      "message p50": ms(row.messageP50),
      "message p99": ms(row.messageP99),
      failed: row.failed,
      "misses %": (100 * row.misses).toFixed(1),
      "standby h": row.standbyHours.toFixed(1),
    })),
  );
  printTable(
    "Beside it: the bare calls, and what others publish (create to first command, p50)",
    [
      ...Object.entries(floors).map(([name, value]) => ({
        "": `bare calls, ${name}`,
        ms: ms(value),
      })),
      ...Object.entries(SANDBOXES).map(([name, value]) => ({ "": name, ms: value })),
    ],
  );
}

function goals(rows: Record<string, Row>, floors: Record<"stopped" | "started", number>): Goal[] {
  const row = (name: string): Row => {
    const found = rows[name];
    if (found === undefined) throw new Error(`there is no row ${name}`);
    return found;
  };
  const atMost = (goal: string, value: number, limit: number, digits = 3): Goal => ({
    goal,
    measured: value.toFixed(digits),
    met: value <= limit,
  });
  const created = row("one user, created");
  const stuck = row("1 % stuck, fallback");
  const calls = row(`${BURST} at once, pool of started`).databaseCalls;
  return [
    atMost(
      `${BURST} at once, pool of stopped: the last answer within 1.0 s`,
      row(`${BURST} at once, pool of stopped`).last / 1_000,
      1,
    ),
    {
      goal: `pool of started: one call to the database each`,
      measured: `${calls} for ${BURST}`,
      met: calls === BURST,
    },
    atMost(
      "pool of stopped: p50 at most 1.05 × the bare calls",
      row("one user, pool of stopped").p50 / floors.stopped,
      1.05,
    ),
    atMost(
      "pool of started: p50 at most 1.05 × the bare call",
      row("one user, pool of started").p50 / floors.started,
      1.05,
    ),
    atMost(
      "empty pool: p50 at most 1.02 × without one",
      row("one user, empty pool").p50 / created.p50,
      1.02,
    ),
    atMost("1 % stuck: p99 at most 3 × p50", stuck.p99 / stuck.p50, 3),
    atMost(
      "1 % stuck: at most 2 % more creates",
      stuck.creates / row("none stuck, fallback").creates,
      1.02,
    ),
    { goal: "1 % stuck: no failed call", measured: String(stuck.failed), met: stuck.failed === 0 },
  ];
}

await main();
