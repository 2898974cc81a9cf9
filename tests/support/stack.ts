/**
 * The whole system for a test: a local Supabase, the Fly simulator over real HTTP and the function
 * as a real process between them.
 */
import { startFunction } from "../../dev/function-process/mod.ts";
import type { FunctionProcess, OutputLine } from "../../dev/function-process/mod.ts";
import {
  FlySimulator,
  type FlySimulatorOptions,
  type ServedFlySimulator,
  serveFlySimulator,
} from "../../dev/fly-simulator/mod.ts";
import {
  type LocalSupabase,
  type LocalUser,
  startSupabase,
  type StartSupabaseOptions,
} from "../../dev/supabase/mod.ts";

export const FLY_APP = "test-app";
/** As long as the one in the README's example of a log line. */
export const FLY_TOKEN = "fo1_0123456789abcdefghijklmnopqrstuvwxyz01";
export const IMAGE = "registry.fly.io/test-app:latest";

export interface StackOptions {
  supabase?: StartSupabaseOptions;
  fly?: FlySimulatorOptions;
  /** Added to the function's environment; undefined removes a variable. */
  env?: Record<string, string | undefined>;
}

export interface Stack extends AsyncDisposable {
  supabase: LocalSupabase;
  simulator: FlySimulator;
  fly: ServedFlySimulator;
  /** The function that runs now. */
  fn: FunctionProcess;
  /** `fn.url` with the function's path. */
  url: string;
  /** Ends the function and starts it with its usual environment, changed by `env`. */
  restart(env?: Record<string, string | undefined>): Promise<void>;
  /** The environment that the function is started with. */
  environment(env?: Record<string, string | undefined>): Record<string, string>;
  /** Calls the function as `user`, straight at its own address. */
  call(user: LocalUser | null, init?: CallOptions): Promise<Answer>;
  /** Every log event of a request, in order. */
  events(requestId: string): LogEvent[];
}

export interface CallOptions {
  method?: string;
  path?: string;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

// deno-lint-ignore no-explicit-any -- a test looks at whatever came back
export type AnswerBody = any;

export interface Answer {
  status: number;
  headers: Headers;
  body: AnswerBody;
  requestId: string;
}

export interface LogEvent {
  timestamp: string;
  level: string;
  message: string;
  stream: OutputLine["stream"];
  line: string;
  [field: string]: unknown;
}

/** Starts everything; `await using` stops it. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const supabase = await startSupabase(options.supabase ?? {});
  const simulator = new FlySimulator({
    apps: [FLY_APP],
    tokens: [FLY_TOKEN],
    ...options.fly,
    settings: { startDelayMs: 20, rateLimits: null, ...options.fly?.settings },
  });
  const fly = await serveFlySimulator(simulator);
  const environment = (env: Record<string, string | undefined> = {}) =>
    defined({
      SUPABASE_URL: supabase.url,
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: supabase.secretKey }),
      SUPABASE_SERVICE_ROLE_KEY: supabase.serviceRoleKey,
      FLY_API_TOKEN: FLY_TOKEN,
      FLY_APP_NAME: FLY_APP,
      DOCKER_IMAGE: IMAGE,
      FLY_API_HOSTNAME: fly.url,
      ...options.env,
      ...env,
    });
  let fn = await startFunction({ env: environment() });
  supabase.setFunction("provision-machine", fn.url);

  const stack: Stack = {
    supabase,
    simulator,
    fly,
    get fn() {
      return fn;
    },
    get url() {
      return `${fn.url}/provision-machine`;
    },
    environment,
    async restart(env) {
      await fn.stop();
      fn = await startFunction({ env: environment(env) });
      supabase.setFunction("provision-machine", fn.url);
    },
    async call(user, { method = "POST", path = "", body, headers = {}, signal } = {}) {
      const response = await fetch(`${fn.url}/provision-machine${path}`, {
        method,
        headers: {
          ...(user ? { authorization: `Bearer ${user.accessToken}` } : {}),
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(body === undefined
          ? {}
          : { body: typeof body === "string" ? body : JSON.stringify(body) }),
        ...(signal ? { signal } : {}),
      });
      const text = await response.text();
      return {
        status: response.status,
        headers: response.headers,
        body: text === "" ? null : JSON.parse(text),
        requestId: response.headers.get("x-request-id") ?? "",
      };
    },
    events: (requestId) => parseEvents(fn.lines).filter((event) => event.requestId === requestId),
    async [Symbol.asyncDispose]() {
      await fn.stop();
      await fly.shutdown();
      await supabase.close();
    },
  };
  return stack;
}

/** The JSON log events among a function's lines. */
export function parseEvents(lines: OutputLine[]): LogEvent[] {
  return lines.filter(({ line }) => line.startsWith("{")).map(({ stream, line }) => ({
    ...JSON.parse(line),
    stream,
    line,
  }));
}

function defined(env: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
