/**
 * The environment of the function on the local stack: local values for everything that is required,
 * and the developer's own shell before them.
 */
import {
  ENVIRONMENT,
  type VariableName,
} from "../../../supabase/functions/provision-machine/config/environment.ts";
import { DEFAULT_TOKEN } from "../../stack/fly/mod.ts";

/** What hosted Supabase sets: a shell that is set up for a hosted project must not lead there. */
const SET_BY_THE_PLATFORM: readonly VariableName[] = [
  "SUPABASE_URL",
  "SUPABASE_SECRET_KEYS",
  "SUPABASE_SERVICE_ROLE_KEY",
];

/** Variables as a process has them. */
export type Variables = Record<string, string>;

/** What Fly.io is here: apps, and a token for them. */
export interface FlyAccess {
  apps: string[];
  token: string;
}

/**
 * The settings of the function that the shell has. One that is set to nothing counts: it tries the
 * missing value.
 *
 * @throws Error in one sentence when they lead to the real Fly.io
 */
export function settingsFromShell(shell: Variables): Variables {
  const settings = Object.entries(shell).filter(([name]) =>
    Object.hasOwn(ENVIRONMENT, name) && !SET_BY_THE_PLATFORM.some((set) => set === name)
  );
  const { FLY_API_HOSTNAME, ...others } = Object.fromEntries(settings);
  // Without it the function would call the real Fly.io.
  if (FLY_API_HOSTNAME === undefined || FLY_API_HOSTNAME.trim() === "") return others;
  if (!isOnThisMachine(FLY_API_HOSTNAME)) {
    throw new Error(
      `FLY_API_HOSTNAME is ${FLY_API_HOSTNAME}, and this uses none but on 127.0.0.1: a local ` +
        "stack forgets its rows, and machines at Fly.io would go on being billed; unset it.",
    );
  }
  return { ...others, FLY_API_HOSTNAME };
}

/**
 * The real Postgres that the shell names, if any.
 *
 * @throws Error when it is no connection string
 */
export function databaseUrlFromShell(shell: Variables): string | undefined {
  const databaseUrl = shell.DATABASE_URL?.trim() || undefined;
  if (databaseUrl !== undefined && !/^postgres(ql)?:\/\/./.test(databaseUrl)) {
    throw new Error("DATABASE_URL must look like postgres://user:password@host:5432/database.");
  }
  return databaseUrl;
}

/** The simulator knows the apps and the token that the function will use. */
export function flyAccess(settings: Variables): FlyAccess {
  const apps = (settings.FLY_APP_NAME ?? "").split(",").map((app) => app.trim()).filter(Boolean);
  return {
    apps: apps.length > 0 ? apps : ["demo"],
    token: settings.FLY_API_TOKEN?.trim() || DEFAULT_TOKEN,
  };
}

/** Whether a URL names this machine. */
export function isOnThisMachine(url: string): boolean {
  return URL.canParse(url) &&
    /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(new URL(url).hostname);
}
