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

let failed = false;
// Half of them where machines share an app, half where each has its own.
for (
  const [ownApps, share] of [[false, Math.ceil(kills / 2)], [true, Math.floor(kills / 2)]] as const
) {
  if (share === 0) continue;
  print(`seed ${seed}: ${share} kills, ${ownApps ? "an app for each machine" : "a shared app"}`);
  const report = await runKills(
    { seed, kills: share, ownApps, isolates: 2, users: 60, longestLifeMs: 2_500 },
    (killed) => killed % 25 === 0 && print(`${killed} kills`),
  );
  print(JSON.stringify(report, null, 2));
  failed ||= report.violations.length > 0 || report.kills < share;
}
Deno.exit(failed ? 1 : 0);

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
