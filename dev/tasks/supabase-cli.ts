/**
 * Runs the Supabase CLI that this project is pinned to, straight from npm: Node.js is all it needs.
 *
 * `npx` rather than Deno's `npm:` specifiers, because the package reaches its native binary through
 * optional per-platform packages, and npm alone tolerates one of those being absent.
 */
import { join } from "node:path";
import { tmpdir } from "node:os";

/** The version of npm's `supabase` that generates the types and deploys the function. */
export const SUPABASE_CLI_VERSION = "3.1.0";

/** What a finished command printed. */
export interface CommandOutput {
  stdout: string;
  stderr: string;
}

/** A command that exited with another code than 0. */
export class CommandError extends Error {
  override readonly name = "CommandError";

  constructor(command: string, readonly code: number, readonly output: CommandOutput) {
    super(`${command} exited with code ${code}\n${output.stderr}${output.stdout}`.trimEnd());
  }
}

/** Options of {@link runSupabaseCli}. */
export interface SupabaseCliOptions {
  /** The folder that holds `supabase/`. */
  workdir: string;
  /**
   * Environment for this call. Nothing named `SUPABASE_…` or `PROVISION_MACHINE_…` is inherited: a
   * shell that is logged in to a hosted project must not decide what a test or a generator talks to.
   */
  env?: Record<string, string>;
}

/**
 * Runs `supabase <args>` with no terminal, no telemetry and no check for updates, and with a home
 * folder of its own, so that no user's login or profile is read or changed.
 *
 * @throws {CommandError} when the CLI exits with another code than 0; its words are the message.
 */
export async function runSupabaseCli(
  args: readonly string[],
  { workdir, env = {} }: SupabaseCliOptions,
): Promise<CommandOutput> {
  const home = await Deno.makeTempDir({ prefix: "supabase-cli-home-" });
  try {
    return await runNpmPackage(
      `supabase@${SUPABASE_CLI_VERSION}`,
      ["--workdir", workdir, ...args],
      {
        cwd: workdir,
        env: {
          ...environmentWithout("SUPABASE_", "PROVISION_MACHINE_"),
          DO_NOT_TRACK: "1",
          SUPABASE_HOME: home,
          SUPABASE_NO_KEYRING: "1",
          SUPABASE_NO_UPDATE_NOTIFIER: "1",
          SUPABASE_TELEMETRY_DISABLED: "1",
          ...env,
        },
      },
    );
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

/** Options of {@link runNpmPackage}. */
export interface NpmPackageOptions {
  cwd: string;
  /** The whole environment of the process; nothing is inherited. */
  env: Record<string, string>;
}

/**
 * Runs the command of an npm package, installed into npm's cache on first use.
 *
 * @param packageSpec name and exact version, such as `supabase@3.1.0`
 * @throws {CommandError} when it exits with another code than 0
 */
export async function runNpmPackage(
  packageSpec: string,
  args: readonly string[],
  options: NpmPackageOptions,
): Promise<CommandOutput> {
  await install(packageSpec, options.env);
  return await npx(["--yes", packageSpec, ...args], options);
}

/** The environment of this process, without the variables whose names begin with a prefix. */
export function environmentWithout(...prefixes: string[]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(Deno.env.toObject()).filter(
      ([name]) => !prefixes.some((prefix) => name.startsWith(prefix)),
    ),
  );
}

const installed = new Map<string, Promise<void>>();

/**
 * Installs once per process, and one process at a time: two `npx` that install the same package at
 * once destroy each other's files with the npm that Node.js 20 and 22 bring (npm 10: `ENOTEMPTY`,
 * `ETXTBSY`; npm 11 has its own lock), and tests run in parallel.
 */
function install(packageSpec: string, env: Record<string, string>): Promise<void> {
  const known = installed.get(packageSpec);
  if (known !== undefined) return known;
  const installation = (async () => {
    const name = `npx-${Deno.uid() ?? "user"}-${packageSpec.replaceAll(/[^\w.-]/g, "_")}.lock`;
    const path = join(tmpdir(), name);
    using file = await Deno.open(path, { create: true, write: true });
    await file.lock(true);
    // Any command installs the package; Node's own does nothing more.
    await npx(["--yes", "--package", packageSpec, "--", "node", "--version"], {
      cwd: tmpdir(),
      env,
    });
  })();
  installed.set(packageSpec, installation);
  return installation;
}

async function npx(args: readonly string[], options: NpmPackageOptions): Promise<CommandOutput> {
  const command = new Deno.Command(Deno.build.os === "windows" ? "npx.cmd" : "npx", {
    args: [...args],
    cwd: options.cwd,
    clearEnv: true,
    env: { npm_config_loglevel: "error", npm_config_update_notifier: "false", ...options.env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
  let result: Deno.CommandOutput;
  try {
    result = await command.output();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error("npx was not found: install Node.js 20 or later", { cause: error });
  }
  const output = {
    stdout: new TextDecoder().decode(result.stdout),
    stderr: new TextDecoder().decode(result.stderr),
  };
  if (result.code !== 0) throw new CommandError(`npx ${args.join(" ")}`, result.code, output);
  return output;
}
