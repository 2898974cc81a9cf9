// `deno task test:tokens [COUNT] [SEED]`: presents 10,000 random bad tokens to the machine and to the
// router, and fails if one of them is accepted.
import { flood } from "./token-flood.ts";

function print(line: string): void {
  // deno-lint-ignore no-console -- a program that reports to the person who started it
  console.log(line);
}

if (import.meta.main) {
  const [count = 10_000, seed = Math.floor(Math.random() * 2 ** 31)] = Deno.args.map(Number);
  print(`seed ${seed}`);
  let failed = false;
  for (const { door, bad, admitted, good, goodRefused, statuses } of await flood(count, seed)) {
    print(
      `${door}: ${admitted.length} of ${bad} bad tokens got in, ` +
        `${goodRefused} of ${good} good ones were refused; by status: ${JSON.stringify(statuses)}`,
    );
    for (const query of admitted.slice(0, 10)) print(`  got in: ${query}`);
    failed ||= admitted.length > 0 || goodRefused > 0;
  }
  Deno.exit(failed ? 1 : 0);
}
