/** `deno task usage`: what each user's machines ran and were stopped in a month, as a table or CSV. */
import { parseArgs } from "node:util";
import { createClient } from "@supabase/supabase-js";
import { Terminal } from "../start/terminal.ts";
import { formatCsv, formatTable, type UserUsage } from "./format.ts";
import { readUsage } from "./read-usage.ts";

const HELP = `Prints how long each user's machines ran and were stopped in a month (UTC).

  deno task usage [--month <yyyy-mm>] [--csv]

  --month  Default: this month.
  --csv    For a spreadsheet or a billing program.

It reads the view machine_usage of the project that SUPABASE_URL and SUPABASE_SECRET_KEY name.`;

interface Options {
  help: boolean;
  month: string;
  csv: boolean;
}

/** @throws {TypeError} that names what is wrong */
function parseOptions(args: string[], now: Date): Options {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: "boolean", short: "h", default: false },
      month: { type: "string", default: now.toISOString().slice(0, 7) },
      csv: { type: "boolean", default: false },
    },
  });
  if (!/^\d{4}-(0[1-9]|1[0-2])$/.test(values.month)) {
    throw new TypeError(`--month ${values.month}: expected a month such as 2026-11`);
  }
  return values;
}

/** @returns the exit code */
async function main(args: string[], terminal: Terminal): Promise<number> {
  let options: Options;
  try {
    options = parseOptions(args, new Date());
  } catch (error) {
    terminal.fail(`${error instanceof Error ? error.message : error}\n\n${HELP}`);
    return 2;
  }
  if (options.help) {
    terminal.say(HELP);
    return 0;
  }
  const url = Deno.env.get("SUPABASE_URL");
  const key = Deno.env.get("SUPABASE_SECRET_KEY");
  if (!url || !key) {
    terminal.fail(`SUPABASE_URL and SUPABASE_SECRET_KEY are not both set.\n\n${HELP}`);
    return 2;
  }
  let usage: UserUsage[];
  try {
    usage = await readUsage(createClient(url, key), options.month);
  } catch (error) {
    terminal.fail(`The usage could not be read: ${error instanceof Error ? error.message : error}`);
    return 1;
  }
  terminal.say(options.csv ? formatCsv(usage, options.month) : formatTable(usage, options.month));
  return 0;
}

Deno.exit(await main(Deno.args, new Terminal({ onLost: () => Deno.exit(0) })));
