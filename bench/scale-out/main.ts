/**
 * Four processes, one Postgres, thousands of provisions: what each process did, and every violation
 * afterwards.
 *
 * `deno task bench:scale-out [--users N] [--machines N] [--processes N] [--width N] [--seed N]`;
 * `machines` is how many each user may have, `width` how many users call at the same time.
 */
import { parseArgs } from "node:util";
import { circumstances, printTable, progress, report } from "../support/report.ts";
import { runScaleOut } from "./run.ts";

/** High enough that Postgres and the processes are the limit, and low enough to be reached. */
const RATE = { perSecond: 200, burst: 50 };

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      users: { type: "string", default: "120" },
      machines: { type: "string", default: "18" },
      processes: { type: "string", default: "4" },
      width: { type: "string", default: "4" },
      seed: { type: "string", default: "1" },
    },
  });
  const users = Number(values.users);
  const machinesPerUser = Number(values.machines);
  const processes = Number(values.processes);
  const width = Number(values.width);
  const seed = Number(values.seed);
  const found = { circumstances: circumstances() };
  progress(`signing up ${users} users`);
  const result = await runScaleOut({
    processes,
    users,
    machinesPerUser,
    seed,
    width,
    rate: RATE,
    onProgress: (done) => done % 20 === 0 && progress(`${done} of ${users} users served`),
  });

  printTable(`${processes} processes, one Postgres, ${users} users, seed ${seed}`, [{
    provisions: result.provisions,
    calls: result.calls,
    "asked again": result.askedAgain,
    "by process": result.byProcess.join(" + "),
    answers: Object.entries(result.answers).map(([status, n]) => `${n} × ${status}`).join(", "),
    "429s of Fly.io": result.refused,
    "provisions/s": result.provisionsPerSecond.toFixed(0),
    violations: result.violations.length,
  }]);
  for (const violation of result.violations.slice(0, 20)) progress(violation);
  await report("scale-out", {
    ...found,
    settings: { users, machinesPerUser, processes, width, seed, RATE },
    ...result,
    goals: [{
      goal: "thousands of provisions, no invariant broken",
      measured: `${result.provisions} provisions, ${result.violations.length} violations`,
      met: result.provisions >= 2_000 && result.violations.length === 0,
    }],
  });
  // Unlike a time, a broken invariant is the code's fault on any machine.
  if (result.violations.length > 0) Deno.exit(1);
}

await main();
