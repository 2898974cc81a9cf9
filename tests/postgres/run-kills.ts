/**
 * Kills the function under load, hundreds of times, on a real Postgres, and says what broke.
 *
 *     deno task test:kills [--kills 200] [--seed 7]
 */
import { parseArgs } from "node:util";
import { runKills } from "./kill-run.ts";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "200" },
    seed: { type: "string", default: String(crypto.getRandomValues(new Uint32Array(1))[0]) },
  },
});
const [kills, seed] = [positive("kills"), positive("seed")];

print(`seed ${seed}: ${kills} kills`);
const report = await runKills(
  { seed, kills, isolates: 2, users: 60, longestLifeMs: 2_500 },
  (killed) => killed % 25 === 0 && print(`${killed} kills`),
);
print(JSON.stringify(report, null, 2));
Deno.exit(report.violations.length === 0 && report.kills >= kills ? 0 : 1);

function positive(name: "kills" | "seed"): number {
  const value = Number(values[name]);
  if (Number.isSafeInteger(value) && value > 0) return value;
  print(`--${name} must be a positive whole number, not ${values[name]}`);
  Deno.exit(2);
}

function print(line: string): void {
  // deno-lint-ignore no-console -- a program that reports on the terminal
  console.log(line);
}
