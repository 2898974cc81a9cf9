/**
 * Kills the function under load, hundreds of times, on a real Postgres, and says what broke.
 *
 *     deno task test:kills [--kills 200] [--seed 7] [--only pool]
 */
import { parseArgs } from "node:util";
import { runKills } from "./kill-run.ts";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "200" },
    only: { type: "string", default: "" },
    seed: { type: "string", default: String(crypto.getRandomValues(new Uint32Array(1))[0]) },
  },
});
const [kills, seed] = [positive("kills"), positive("seed")];

let failed = false;
// Where machines share an app, where each has its own, and where some of these stand by.
for (
  const [index, where] of [
    { name: "a shared app", ownApps: false },
    { name: "an app for each machine", ownApps: true },
    { name: "a pool of stopped machines", ownApps: true, pool: "stopped" as const },
    { name: "a pool of started machines", ownApps: true, pool: "started" as const },
  ].entries()
) {
  const { name, ...settings } = where;
  const share = Math.floor((kills + index) / 4);
  if (share === 0 || !name.includes(values.only)) continue;
  print(`seed ${seed}: ${share} kills, ${name}`);
  const report = await runKills(
    { seed, kills: share, ...settings, isolates: 2, users: 60, longestLifeMs: 2_500 },
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
