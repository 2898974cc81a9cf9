/** The command line of `deno task dev`. */
import { parseArgs } from "node:util";

/** The Supabase CLI's port of a local API, so that code and examples fit both. */
export const DEFAULT_PORT = 54321;

export const HELP = `Usage: deno task dev [options]

Starts an embedded Supabase with this project's migrations, a simulator of Fly.io's Machines API and
the function (restarted when its files change), provisions one machine, and keeps serving.

Options:
  --once       exit after the first machine: 0 when it runs, 1 when it does not
  --port <N>   port of the Supabase API (${DEFAULT_PORT}; 0: any free one)
  --help       show this

Environment:
  DATABASE_URL           a real Postgres, as its superuser, instead of PGlite in memory
  FUNCTION_DENO_VERSION  run the function with another Deno, e.g. 2.1.4 as the hosted runtime
  LOG_FORMAT             json or text: the function's lines as it writes them; unset: compact
Every setting of the function (supabase/functions/.env.example) that the shell has set wins over the
local one, so \`FLY_API_TOKEN= deno task dev --once\` shows what a missing token does.`;

export interface Options {
  once: boolean;
  /** 0: any free one. */
  port: number;
  help: boolean;
}

/** The command line is not one of this command. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** @throws {UsageError} in one sentence */
export function parseOptions(args: string[]): Options {
  const { once, port, help } = parse(args);
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65535) {
    throw new UsageError(`--port must be a whole number from 0 to 65535, not "${port}".`);
  }
  return { once, port: Number(port), help };
}

function parse(args: string[]): { once: boolean; port: string; help: boolean } {
  try {
    return parseArgs({
      args,
      options: {
        once: { type: "boolean", default: false },
        port: { type: "string", default: String(DEFAULT_PORT) },
        help: { type: "boolean", short: "h", default: false },
      },
    }).values;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const [sentence] = error.message.split(/\. |\n/);
    throw new UsageError(`${sentence?.replace(/\.$/, "")}; see deno task dev --help.`);
  }
}
