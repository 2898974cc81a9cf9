/** Starts the three parts of the local stack: Supabase, Fly.io's simulator, the function. */
import {
  FlySimulator,
  PROMPT_PROXY_SETTINGS,
  type ServedFlyProxy,
  type ServedFlySimulator,
  serveFlyProxy,
  serveFlySimulator,
} from "../../stack/fly/mod.ts";
import { type FunctionProcess, type OutputLine, startFunction } from "../../stack/function/mod.ts";
import { type LocalSupabase, startSupabase } from "../../stack/supabase/mod.ts";
import { FUNCTION_NAME } from "./call-function.ts";
import {
  databaseUrlFromShell,
  flyAccess,
  settingsFromShell,
  type Variables,
} from "./environment.ts";

export interface LocalStackOptions {
  /** Of the Supabase API; 0: any free one. */
  port: number;
  /** Restart the function when its files change. */
  watch: boolean;
  /** The developer's environment. */
  shell: Variables;
  /** Checked between the steps; what was started by then is ended. */
  signal: AbortSignal;
  onProgress: (step: string) => void;
  /** Called with each line that the function writes. */
  onLine: (stream: OutputLine["stream"], line: string) => void;
}

export interface LocalStack extends AsyncDisposable {
  supabase: LocalSupabase;
  /** `null` when the shell names another one. */
  simulator: { api: ServedFlySimulator; proxy: ServedFlyProxy } | null;
  fn: FunctionProcess;
  /** The settings of the function that came from the shell. */
  fromShell: string[];
  /** The function's limit; undefined when the shell's value is none. */
  machinesPerUser: number | undefined;
}

/**
 * Starts everything; disposing ends it in the reverse order.
 *
 * @throws Error with what could not be started; nothing is left running then
 */
export async function startLocalStack(options: LocalStackOptions): Promise<LocalStack> {
  const { port, watch, shell, signal, onProgress, onLine } = options;
  const settings = settingsFromShell(shell);
  const databaseUrl = databaseUrlFromShell(shell);
  await using parts = new AsyncDisposableStack();

  onProgress(`Supabase on ${databaseUrl === undefined ? "PGlite" : "DATABASE_URL"}`);
  const supabase = parts.adopt(
    await startSupabase({
      port,
      ...(databaseUrl === undefined ? {} : { databaseUrl }),
      onProgress: (step) => onProgress(`  ${step}`),
    }),
    (started) => started.close(),
  );
  signal.throwIfAborted();

  const simulator = settings.FLY_API_HOSTNAME === undefined
    ? await startSimulator(settings, parts, onProgress)
    : null;
  signal.throwIfAborted();

  onProgress("the function");
  const fn = parts.adopt(
    await startFunction({
      env: {
        FLY_API_TOKEN: flyAccess(settings).token,
        FLY_APP_NAME: flyAccess(settings).apps.join(","),
        CONNECT_TOKEN_SECRET: crypto.getRandomValues(new Uint8Array(32)).toHex(),
        DOCKER_IMAGE: `registry.fly.io/${flyAccess(settings).apps[0]}:latest`,
        ...(simulator && {
          FLY_API_HOSTNAME: simulator.api.url,
          ...hostingSettings(settings, simulator.proxy),
        }),
        ...settings,
        SUPABASE_URL: supabase.url,
        SUPABASE_SECRET_KEYS: JSON.stringify({ default: supabase.secretKey }),
        SUPABASE_SERVICE_ROLE_KEY: supabase.serviceRoleKey,
      },
      watch,
      oneStream: true,
      onLine,
    }),
    async (started) => void await started.stop(),
  );
  supabase.setFunction(FUNCTION_NAME, fn.url);
  signal.throwIfAborted();

  const started = parts.move();
  return {
    supabase,
    simulator,
    fn,
    fromShell: Object.keys(settings),
    machinesPerUser: machinesPerUser(settings),
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

/** 1 is the function's default; it is the function that reports a wrong value. */
function machinesPerUser({ MAX_MACHINES_PER_USER: text = "1" }: Variables): number | undefined {
  return /^[1-9]\d*$/.test(text.trim()) ? Number(text) : undefined;
}

/** An app of its own for each machine, as recommended, unless the shell names several apps to share. */
function hostingSettings(settings: Variables, proxy: ServedFlyProxy): Variables {
  if (flyAccess(settings).apps.length > 1) {
    return { WEBSOCKET_URL_TEMPLATE: proxy.websocketUrlTemplate };
  }
  return {
    FLY_ORG_SLUG: "personal",
    WEBSOCKET_URL_TEMPLATE: proxy.address("{app}").replace(/^http/, "ws"),
  };
}

async function startSimulator(
  settings: Variables,
  parts: AsyncDisposableStack,
  onProgress: (step: string) => void,
): Promise<NonNullable<LocalStack["simulator"]>> {
  onProgress("Fly.io's simulator");
  const { apps, token } = flyAccess(settings);
  const simulator = new FlySimulator({ apps, tokens: [token] });
  const api = parts.adopt(await serveFlySimulator(simulator), (started) => started.shutdown());
  // A person at a terminal does not wait for names to appear in the DNS.
  const proxy = parts.adopt(
    await serveFlyProxy(simulator, { publicApps: apps, settings: PROMPT_PROXY_SETTINGS }),
    (started) => started.shutdown(),
  );
  return { api, proxy };
}
