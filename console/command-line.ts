/** The command line of `deno task console` and `deno task console:build`. */
import { parseArgs } from "node:util";
import { ConfigError, type ConfigIssue, type ConsoleConfig, parseConfig } from "./page/config.ts";

const OPTIONS = {
  "supabase-url": { type: "string" },
  "publishable-key": { type: "string" },
  "function-name": { type: "string" },
  "machine-origin": { type: "string", multiple: true },
  region: { type: "string", multiple: true },
  "machines-per-user": { type: "string" },
  port: { type: "string", default: "4300" },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** Which option sets which setting of config.json. */
const SETTINGS: Record<string, keyof typeof OPTIONS> = {
  supabaseUrl: "supabase-url",
  publishableKey: "publishable-key",
  functionName: "function-name",
  machineOrigins: "machine-origin",
  regions: "region",
  machinesPerUser: "machines-per-user",
};

export const HELP = `\
deno task console        serves the console on 127.0.0.1
deno task console:build  writes its static files to console/dist

  --supabase-url URL      the project, such as https://abc.supabase.co (required)
  --publishable-key KEY   its publishable key, or the legacy anon key (required)
  --function-name NAME    the function's name; default: provision-machine
  --machine-origin WSS    where machines listen, repeatable; default: wss://*.fly.dev
  --region CODE           a region to offer, repeatable; default: all of Fly.io's
  --machines-per-user N   the service's MAX_MACHINES_PER_USER; default: learned when it refuses one
  --port PORT             console only; default: 4300
  --help                  this text
`;

export interface CommandLine {
  config: ConsoleConfig;
  port: number;
}

/** @returns null for `--help` @throws Error that names the option and what is wrong with it */
export function readArgs(args: string[]): CommandLine | null {
  const { values } = parseArgs({ args, options: OPTIONS });
  if (values.help) return null;
  for (const name of ["supabase-url", "publishable-key"] as const) {
    if (!values[name]) throw new Error(`--${name} is missing`);
  }
  const given = Object.entries(SETTINGS)
    .map(([setting, option]) => {
      const value = values[option];
      return [setting, setting === "machinesPerUser" && value ? Number(value) : value] as const;
    })
    .filter(([, value]) => value !== undefined);
  const port = Number(values.port);
  if (!/^\d+$/.test(values.port) || port > 65_535) {
    throw new Error(`--port must be 0 to 65535, not ${values.port}`);
  }
  try {
    return { config: parseConfig(Object.fromEntries(given)), port };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new Error(error.issues.map(inOptions).join("; "), { cause: error });
  }
}

function inOptions({ setting, message }: ConfigIssue): string {
  const option = SETTINGS[setting];
  return option === undefined ? `${setting}: ${message}` : `--${option}: ${message}`;
}

/** Runs a command: help on request, and a mistake as one line on stderr and exit code 1. */
export async function runCommand(
  run: (commandLine: CommandLine) => Promise<void>,
): Promise<void> {
  const encoder = new TextEncoder();
  try {
    const commandLine = readArgs(Deno.args);
    if (commandLine === null) await Deno.stdout.write(encoder.encode(HELP));
    else await run(commandLine);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const hint = "code" in error && error.code === "ERR_PARSE_ARGS_UNKNOWN_OPTION"
      ? "; --help lists the options"
      : "";
    await Deno.stderr.write(encoder.encode(`console: ${error.message}${hint}\n`));
    Deno.exit(1);
  }
}
