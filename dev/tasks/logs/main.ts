/** `deno task logs`: the function's log for people. */
import { styleText } from "node:util";
import { Terminal } from "../start/terminal.ts";
import { formatRequest, formatRow, type Paint } from "./format.ts";
import { HELP, type Options, parseOptions, UsageError } from "./options.ts";
import { readEvents } from "./read-events.ts";
import { findRequests, type LoggedRequest, requestsOf } from "./requests.ts";

/** More than these of other requests that fit are only counted. */
const OTHERS_NAMED = 5;

/** @returns the exit code: 0, or 1 when there is nothing to show */
async function show(options: Options, terminal: Terminal): Promise<number> {
  const { events, skipped } = readEvents(await readText(options.file));
  const { requests, unowned } = requestsOf(events);
  const found = options.what === null ? requests : findRequests(requests, options.what);
  const colours = Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR");
  const paint: Paint = colours
    ? (style, text) => styleText(style, text, { validateStream: false })
    : (_, text) => text;

  if (options.what === null) showList(found, options.limit, paint, terminal);
  else showNewest(found, paint, terminal);
  if (found.length === 0) {
    const what = options.what === null ? "no request" : `nothing about ${options.what}`;
    terminal.fail(`There is ${what} in ${events.length} events.`);
  }
  if (skipped > 0) terminal.fail(`Skipped ${count(skipped, "line")} that are no log events.`);
  if (unowned > 0) terminal.fail(`${count(unowned, "event")} belong to no request.`);
  return found.length === 0 ? 1 : 0;
}

function showList(
  requests: LoggedRequest[],
  limit: number,
  paint: Paint,
  terminal: Terminal,
): void {
  for (const request of requests.slice(0, limit)) terminal.say(formatRow(request, paint));
  const more = requests.length - limit;
  if (more > 0) terminal.say(paint("dim", `… and ${more} older; --limit shows more`));
}

function showNewest(requests: LoggedRequest[], paint: Paint, terminal: Terminal): void {
  const [newest, ...others] = requests;
  if (newest === undefined) return;
  terminal.say(formatRequest(newest, paint));
  if (others.length === 0) return;
  terminal.say();
  terminal.say(paint("dim", `${count(others.length, "older request")} as well:`));
  for (const request of others.slice(0, OTHERS_NAMED)) terminal.say(formatRow(request, paint));
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}

async function readText(file: string | null): Promise<string> {
  if (file !== null) {
    try {
      return await Deno.readTextFile(file);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new UsageError(`${file} cannot be read: ${reason}`);
    }
  }
  if (Deno.stdin.isTerminal()) {
    throw new UsageError("there is nothing to read: give --file, or pipe the log into this");
  }
  return await new Response(Deno.stdin.readable).text();
}

async function main(args: string[], terminal: Terminal): Promise<number> {
  try {
    const options = parseOptions(args);
    if (!options.help) return await show(options, terminal);
    terminal.say(HELP);
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    terminal.fail(`${error.message}\n\n${HELP}`);
    return 2;
  }
}

// The reader may stop reading, as `head` does.
Deno.exit(await main(Deno.args, new Terminal({ onLost: () => Deno.exit(0) })));
