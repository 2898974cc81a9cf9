/** `deno task smoke`: provisions, reaches and destroys a machine on a real deployment. */
import { parseArgs } from "node:util";
import { Terminal } from "../start/terminal.ts";
import { smoke } from "./smoke.ts";

const HELP =
  `Makes an account, provisions a machine as that user, opens its WebSocket, destroys it, and
deletes the account. It costs what the smallest machine costs for about a minute: less than a cent.

  deno task smoke [--connect-within <seconds>]

  --connect-within  How long a new address may take to be known. Default 120.

It needs SUPABASE_URL, SUPABASE_SECRET_KEY and SUPABASE_PUBLISHABLE_KEY, and CONNECT_TOKEN_SECRET at the
function. Exit code 1: a promise was not kept, and which.`;

/** @returns the exit code */
async function main(args: string[], terminal: Terminal): Promise<number> {
  let values: { help: boolean; "connect-within": string };
  try {
    ({ values } = parseArgs({
      args,
      options: {
        help: { type: "boolean", short: "h", default: false },
        "connect-within": { type: "string", default: "120" },
      },
    }));
    if (!/^\d{1,4}$/.test(values["connect-within"])) {
      throw new TypeError(`--connect-within ${values["connect-within"]}: expected seconds`);
    }
  } catch (error) {
    terminal.fail(`${error instanceof Error ? error.message : error}\n\n${HELP}`);
    return 2;
  }
  if (values.help) {
    terminal.say(HELP);
    return 0;
  }
  const url = Deno.env.get("SUPABASE_URL")?.replace(/\/+$/, "");
  const secretKey = Deno.env.get("SUPABASE_SECRET_KEY");
  const publishableKey = Deno.env.get("SUPABASE_PUBLISHABLE_KEY");
  if (!url || !secretKey || !publishableKey) {
    terminal.fail(
      `SUPABASE_URL, SUPABASE_SECRET_KEY and SUPABASE_PUBLISHABLE_KEY are not all set.\n\n${HELP}`,
    );
    return 2;
  }
  try {
    const connectWithinMs = Number(values["connect-within"]) * 1_000;
    const say = (line: string) => terminal.step(line);
    await smoke({ url, secretKey, publishableKey, connectWithinMs, say });
    terminal.say("✅ The deployment keeps its promises.");
    return 0;
  } catch (error) {
    terminal.fail(`❌ ${error instanceof Error ? error.message : error}`);
    return 1;
  }
}

if (import.meta.main) {
  Deno.exit(await main(Deno.args, new Terminal({ onLost: () => Deno.exit(0) })));
}
