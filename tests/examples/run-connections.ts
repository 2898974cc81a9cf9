/**
 * Connects many users to their machines, half of them directly and half through the router, and
 * presents bad tokens; fails if one connection arrives anywhere but at its user's own machine.
 *
 *     deno task test:connections [--users 50] [--connections 2000] [--bad-tokens 10000] [--seed 7]
 */
import { parseArgs } from "node:util";
import { connectAll } from "./connections.ts";
import { presentBadTokens } from "./intrusions.ts";
import { startOwnMachines, WAYS } from "./own-machines.ts";

const { values } = parseArgs({
  options: {
    users: { type: "string", default: "50" },
    /** Of each user. */
    connections: { type: "string", default: "2000" },
    "bad-tokens": { type: "string", default: "10000" },
    seed: { type: "string", default: String(crypto.getRandomValues(new Uint32Array(1))[0]) },
  },
});
const [users, perUser] = [positive("users", 4), positive("connections")];
const [badTokens, seed] = [positive("bad-tokens"), positive("seed")];

let failed = false;
const startedAt = performance.now();
print(`seed ${seed}: ${users} users, ${perUser} connections each`);
{
  await using machines = await startOwnMachines(users, seed);
  print(`${seconds()} s: every user has a machine`);
  const arrived = await connectAll(
    machines,
    perUser,
    (count) => count % 10_000 === 0 && print(`${seconds()} s: ${count} connections`),
  );
  for (const way of WAYS) {
    const { connections, own, anothers, refused, errors, examples } = arrived[way];
    print(
      `${way}: ${connections} connections: ${own} reached the user's own machine, ` +
        `${anothers} another's, ${refused} were refused, ${errors} errors`,
    );
    for (const example of examples) print(`  ${example}`);
    failed ||= anothers > 0 || own !== connections;
  }
  const presented = await presentBadTokens(machines, badTokens);
  for (const way of WAYS) {
    const { tokens, gotIn, refused, errors, kinds, examples } = presented[way];
    print(
      `${way}: ${tokens} bad tokens of ${Object.keys(kinds).length} kinds: ${gotIn} got in, ` +
        `${refused} were refused, ${errors} errors`,
    );
    for (const example of examples) print(`  ${example}`);
    failed ||= gotIn > 0 || refused !== tokens;
  }
}
print(`${seconds()} s: ${failed ? "FAILED" : "ok"}`);
Deno.exit(failed ? 1 : 0);

function positive(name: keyof typeof values, least = 1): number {
  const value = Number(values[name]);
  if (Number.isSafeInteger(value) && value >= least) return value;
  print(`--${name} must be a whole number of at least ${least}, not ${values[name]}`);
  Deno.exit(2);
}

function seconds(): string {
  return ((performance.now() - startedAt) / 1_000).toFixed(0);
}

function print(line: string): void {
  // deno-lint-ignore no-console -- a program that reports on the terminal
  console.log(line);
}
