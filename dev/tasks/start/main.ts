/**
 * `deno task dev`: the local stack, one machine provisioned on it, and then a server to work with.
 *
 * Only Deno's own modules are imported up front, so that the first thing a reader of a fresh clone
 * sees is what is going on, and not a list of downloads.
 */
import { type Interruption, listenForInterruption } from "./interruption.ts";
import { HELP, parseOptions, UsageError } from "./options.ts";
import { requireDeno, requireFreePort } from "./requirements.ts";
import { Terminal } from "./terminal.ts";

/** The part that needs packages from npm. */
type DevCommand = typeof import("./run.ts");

const CLOSING_MAY_TAKE_MS = 15_000;

/** @returns the exit code */
async function main(
  args: string[],
  terminal: Terminal,
  interruption: Interruption,
): Promise<number> {
  try {
    const options = parseOptions(args);
    if (options.help) {
      terminal.say(HELP);
      return 0;
    }
    requireDeno(Deno.version.deno);
    await requireFreePort(options.port);
    terminal.step("loading packages (the first start fetches them from npm)");
    const { runDevCommand } = await Promise.race([loadDevCommand(), interruption.interrupted]);
    return await runDevCommand(options, Deno.env.toObject(), terminal, interruption.signal);
  } catch (error) {
    if (interruption.signal.aborted) return 130;
    terminal.fail(describe(error));
    return error instanceof UsageError ? 2 : 1;
  }
}

/** @throws Error in one sentence when a package is missing */
async function loadDevCommand(): Promise<DevCommand> {
  // Deno would load a module whose name it can read here before it runs this file's first line.
  const name = "./run.ts";
  try {
    return await import(name);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const [reason, ...details] = error.message.split("\n").map((line) => line.trim());
    const cause = details.find((line) => line.startsWith("0:"))?.slice(2).trim();
    throw new Error(
      `A dependency is missing: ${[reason, cause].filter((part) => part).join(": ")}.`,
      { cause: error },
    );
  }
}

/** What was thrown on purpose speaks for itself; anything else is a defect, and shows where. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.name === "Error" || error instanceof UsageError
    ? error.message
    : error.stack ?? String(error);
}

const terminal: Terminal = new Terminal({ onLost: () => interruption.interrupt() });
const interruption: Interruption = listenForInterruption(() => {
  terminal.step("closing");
  // What hangs must not keep the ports. The function's process ends with this one.
  setTimeout(() => Deno.exit(1), CLOSING_MAY_TAKE_MS);
});
Deno.exit(await main(Deno.args, terminal, interruption));
