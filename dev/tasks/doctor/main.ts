/** `deno task doctor`: what is wrong with a real project and a real organisation, and what mends it. */
import { parseArgs } from "node:util";
import { Terminal } from "../start/terminal.ts";
import { examine, mend, report } from "./doctor.ts";
import { openSubject } from "./subject.ts";

const HELP = `Looks at a deployed project and its Fly.io organisation, and changes nothing.

  deno task doctor [--env-file <path>] [--fix]

  --env-file  The function's settings, as given to \`supabase secrets set --env-file\`.
  --fix       Ask about each statement that is safe to run in the database, and run it.

It also reads, from the file or the shell:

  SUPABASE_URL              https://<project-ref>.supabase.co
  SUPABASE_SECRET_KEY       a secret key of the project
  SUPABASE_PUBLISHABLE_KEY  optional
  DATABASE_URL              the database's connection string; without it migrations and schedule are
                            left out

It prints one line per problem: what is wrong, and what mends it. Exit code 1: there is a problem.`;

/** @returns the exit code */
async function main(args: string[], terminal: Terminal): Promise<number> {
  let options: { help: boolean; fix: boolean; "env-file"?: string };
  let file: string | null = null;
  try {
    options = parseArgs({
      args,
      options: {
        help: { type: "boolean", short: "h", default: false },
        fix: { type: "boolean", default: false },
        "env-file": { type: "string" },
      },
    }).values;
    const path = options["env-file"];
    if (path !== undefined) file = await Deno.readTextFile(path);
  } catch (error) {
    terminal.fail(`${error instanceof Error ? error.message : error}\n\n${HELP}`);
    return 2;
  }
  if (options.help) {
    terminal.say(HELP);
    return 0;
  }
  await using subject = await openSubject({ env: Deno.env.toObject(), file });
  let results = await examine(subject);
  terminal.say(report(results));
  const found = results.flatMap(({ problems }) => problems);
  if (options.fix && subject.sql !== null && found.some(({ repair }) => repair !== undefined)) {
    await mend(
      results,
      subject.sql,
      ({ says, fix }) =>
        prompt(`\n${says}.\n  ${fix}\nRun it? [y/N]`)?.trim().toLowerCase() === "y",
      (line) => terminal.say(line),
    );
    results = await examine(subject);
    terminal.say(`\n${report(results)}`);
  }
  return results.some(({ problems }) => problems.length > 0) ? 1 : 0;
}

if (import.meta.main) {
  Deno.exit(await main(Deno.args, new Terminal({ onLost: () => Deno.exit(0) })));
}
