/** What a check is, what it looks at, and what it may find. */
import type postgres from "postgres";
import type { Environment } from "../../../supabase/functions/provision-machine/config/environment.ts";
import type { FlyClient } from "../../../supabase/functions/provision-machine/fly/client.ts";
import type { Clock } from "../../../supabase/functions/provision-machine/runtime.ts";
import { SUPABASE_CLI_VERSION } from "../supabase-cli.ts";

/** How the documents and the printed commands start the CLI. */
export const CLI = `npx -y supabase@${SUPABASE_CLI_VERSION}`;

/** The project that is looked at. */
export interface Project {
  /** Without a trailing slash. */
  url: string;
  /** With service rights. */
  secretKey: string;
  publishableKey: string | null;
}

/** Everything that the checks look at. None of them changes anything. */
export interface Subject {
  /** The function's settings, read by the function's own parser. */
  environment: Environment;
  /** Every name that the file of settings has. */
  namesInFile: readonly string[];
  /** Null when SUPABASE_URL or the key is missing. */
  project: Project | null;
  /** As the database's owner; null without DATABASE_URL. */
  sql: postgres.Sql | null;
  /** Null without a token. */
  fly: FlyClient | null;
  /** Versions of the migrations in this repository, oldest first. */
  migrations: readonly string[];
  /** What supabase/config.toml says. */
  majorVersion: number;
  fetch: typeof fetch;
  clock: Clock;
  /** Takes every secret that was given out of a text. */
  redact(text: string): string;
}

/** A change that can be made again without harm, and takes nothing away. */
export interface Repair {
  sql: string;
  parameters: readonly string[];
}

export interface Problem {
  /** One sentence: what is wrong. */
  says: string;
  /** The command, statement or page that mends it. */
  fix: string;
  /** What `--fix` may run after asking. */
  repair?: Repair;
}

/** What could not be looked at, and why. */
export interface Skipped {
  skipped: string;
}

export interface Check {
  name: string;
  run(subject: Subject): Problem[] | Skipped | Promise<Problem[] | Skipped>;
}

/** What setting a variable of the function looks like. */
export function setCommand(assignment: string): string {
  return `${CLI} secrets set ${assignment}`;
}

/** The words of whatever was thrown, in one line. */
export function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return (cause instanceof Error ? cause.message : String(cause)).split("\n")[0] ?? "";
}
