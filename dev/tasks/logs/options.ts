/** What `deno task logs` was asked for. */
import { parseArgs } from "node:util";

const DEFAULT_LIMIT = 20;

export const HELP = `Shows the function's log, one request at a time.

  deno task logs [what] [--file <path>] [--limit <n>]

  what     A request id (or its beginning), a machine id, or an error code: shows the newest request
           that it fits. Without it: a list of the newest requests.
  --file   Where to read; without it, standard input. Lines of JSON as the function prints them, or
           what the Supabase dashboard exports: JSON with event_message.
  --limit  How many requests the list has at most. Default ${DEFAULT_LIMIT}.

  supabase functions serve 2>&1 | tee function.log
  deno task logs --file function.log
  deno task logs fly_rejected --file function.log`;

export interface Options {
  help: boolean;
  /** Request id, machine id or code; null: the list. */
  what: string | null;
  /** Null: standard input. */
  file: string | null;
  limit: number;
}

/** What was asked for makes no sense. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** @throws UsageError that names what is wrong */
export function parseOptions(args: string[]): Options {
  let parsed;
  try {
    parsed = parseArgs({
      args,
      allowPositionals: true,
      options: {
        help: { type: "boolean", short: "h", default: false },
        file: { type: "string", short: "f" },
        limit: { type: "string", default: String(DEFAULT_LIMIT) },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  const { values: { help, file, limit }, positionals: [what, ...rest] } = parsed;
  if (rest.length > 0) throw new UsageError(`one thing at a time, not also ${rest.join(" ")}`);
  if (!/^[1-9]\d{0,5}$/.test(limit)) throw new UsageError(`--limit ${limit}: expected 1 to 999999`);
  return { help, what: what ?? null, file: file ?? null, limit: Number(limit) };
}
