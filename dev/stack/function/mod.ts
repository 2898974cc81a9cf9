/**
 * Runs an Edge Function as a real process, as the platform does: its own environment, no access
 * to files or programs, a server on 127.0.0.1.
 *
 * ```ts
 * const fn = await startFunction({ env: { SUPABASE_URL: supabase.url } });
 * await fetch(`${fn.url}/provision-machine/health`);
 * await fn.stop();
 * ```
 */
import { fileURLToPath, pathToFileURL } from "node:url";
import { TextLineStream } from "./text-line-stream.ts";
import { resolveFunctionDeno } from "./deno-binary.ts";

export { denoFromNpm, HOSTED_DENO_VERSION, resolveFunctionDeno } from "./deno-binary.ts";

/** One line that the function wrote. */
export interface OutputLine {
  stream: "stdout" | "stderr";
  line: string;
}

/** Input of {@link startFunction}. */
export interface StartFunctionOptions {
  /** A path or a `file:` URL. Default: this project's function. */
  entry?: string | URL;
  /** The function's environment: this and what Deno itself needs, nothing else. */
  env: Record<string, string>;
  /** Default 0: any free one. */
  port?: number;
  /** Path of the Deno to run it with. Default: what {@link resolveFunctionDeno} says. */
  deno?: string;
  /** Restart on a change of its files, at the same address. */
  watch?: boolean;
  /**
   * Reads what it writes as one stream, in the order in which it was written, as a terminal shows it.
   * Without a POSIX shell the two streams are still read separately. Default false.
   */
  oneStream?: boolean;
  /** Called with every line as it comes; with `oneStream` all are of `stdout`. */
  onLine?: (stream: OutputLine["stream"], line: string) => void;
  /** How long it may take until it listens (it may have to fetch packages). Default 120,000. */
  startTimeoutMs?: number;
}

/** A running function. */
export interface FunctionProcess {
  /** `http://127.0.0.1:<port>` */
  url: string;
  pid: number;
  /** What it wrote so far; grows. */
  lines: OutputLine[];
  /** Settles when it is gone and all of its output was read. */
  status: Promise<Deno.CommandStatus>;
  /** Ends it, with SIGKILL if it does not go within 5 s; does nothing when it is gone. */
  stop(signal?: Deno.Signal): Promise<Deno.CommandStatus>;
  /**
   * Ends it as the platform ends an isolate: `beforeunload` with this reason, then what
   * `EdgeRuntime.waitUntil` was given may finish, up to 5 s.
   */
  retire(reason: string): Promise<Deno.CommandStatus>;
  /** Ends it at once, as a crash would. */
  kill(): Promise<Deno.CommandStatus>;
}

const PROJECT_ROOT = new URL("../../../", import.meta.url);
const DEFAULT_ENTRY = new URL("supabase/functions/provision-machine/index.ts", PROJECT_ROOT);
const LAUNCHER = new URL("./preload.ts", import.meta.url);
const STOP_GRACE_MS = 5_000;

/**
 * Starts a function; resolves once it listens.
 *
 * @throws Error with the function's output when it ends before, or does not listen in time
 */
export async function startFunction(options: StartFunctionOptions): Promise<FunctionProcess> {
  const { watch = false, oneStream = false, startTimeoutMs = 120_000 } = options;
  const entry = toFileUrl(options.entry ?? DEFAULT_ENTRY);
  const deno = options.deno ?? await resolveFunctionDeno();
  // A function that restarts must come back where it was, so its port is chosen beforehand.
  const port = options.port ?? (watch ? freePort() : 0);
  const command = [deno, ...denoArgs(entry, deno, watch), mainModule(LAUNCHER, entry)];
  const [program = deno, ...args] = oneStream && Deno.build.os !== "windows"
    ? ["sh", "-c", 'exec "$@" 2>&1', "sh", ...command]
    : command;
  const child = new Deno.Command(program, {
    args,
    clearEnv: true,
    env: {
      ...environmentForDeno(),
      ...options.env,
      DENO_SERVE_ADDRESS: `tcp:127.0.0.1:${port}`,
    },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();

  const control = child.stdin.getWriter();
  const lines: OutputLine[] = [];
  const listening = Promise.withResolvers<string>();
  const read = async (stream: OutputLine["stream"], source: ReadableStream<Uint8Array>) => {
    const text = source.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
    for await (const line of text) {
      const [, url] = /^Listening on (http:\/\/127\.0\.0\.1:\d+)\/$/.exec(line) ?? [];
      // The preload's line; what remains is the function's.
      if (url !== undefined && (oneStream || stream === "stderr")) {
        listening.resolve(url);
        continue;
      }
      lines.push({ stream, line });
      options.onLine?.(stream, line);
    }
  };
  const status = Promise.all([
    child.status,
    read("stdout", child.stdout),
    read("stderr", child.stderr),
  ]).then(async ([status]) => {
    await control.close().catch(() => {/* the pipe broke when the process ended */});
    return status;
  });
  const stop = (signal: Deno.Signal) => {
    sendSignal(child, signal);
    return endWithin(STOP_GRACE_MS, child, status);
  };

  const url = await whenListening(listening.promise, status, startTimeoutMs).catch(
    async (error: Error) => {
      await stop("SIGKILL");
      const output = lines.slice(-50).map(({ line }) => line).join("\n");
      throw new Error(`${error.message} (${entry.pathname})\n${output}`);
    },
  );
  return {
    url,
    pid: child.pid,
    lines,
    status,
    stop: (signal = "SIGTERM") => stop(signal),
    retire: async (reason) => {
      await control.write(new TextEncoder().encode(`retire ${reason}\n`));
      return await endWithin(STOP_GRACE_MS, child, status);
    },
    kill: () => stop("SIGKILL"),
  };
}

/**
 * A main module that loads `first`, then the entry. Both are imported statically, which needs no
 * permission; a dynamic import of the entry would need to read files.
 */
export function mainModule(first: URL, entry: URL): string {
  const source = `import ${JSON.stringify(first.href)};import ${JSON.stringify(entry.href)};`;
  return `data:application/javascript,${encodeURIComponent(source)}`;
}

function denoArgs(entry: URL, deno: string, watch: boolean): string[] {
  const inProject = entry.href.startsWith(PROJECT_ROOT.href);
  return [
    "run",
    // What Deno says about downloads and configuration is not the function's output.
    "--quiet",
    "--no-prompt",
    "--allow-net",
    "--allow-env",
    ...(inProject
      ? [`--config=${fileURLToPath(new URL("deno.json", PROJECT_ROOT))}`]
      : ["--no-config"]),
    // An older Deno cannot read a newer one's lock file.
    ...(inProject && deno === Deno.execPath() ? [] : ["--no-lock"]),
    ...(watch ? ["--watch", "--no-clear-screen"] : []),
  ];
}

/** Names that Deno reads to find its cache, its registry and the network. */
const NAMES_FOR_DENO =
  /^(PATH|HOME|USERPROFILE|SYSTEMROOT|LOCALAPPDATA|APPDATA|TEMP|TMP|TMPDIR|XDG_CACHE_HOME|DENO_DIR|DENO_CERT|DENO_TLS_CA_STORE|SSL_CERT_FILE|SSL_CERT_DIR|NPM_CONFIG_.*|HTTPS?_PROXY|NO_PROXY)$/i;

function environmentForDeno(): Record<string, string> {
  const own = Object.entries(Deno.env.toObject()).filter(([name]) => NAMES_FOR_DENO.test(name));
  return { ...Object.fromEntries(own), NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" };
}

async function whenListening(
  listening: Promise<string>,
  status: Promise<Deno.CommandStatus>,
  timeoutMs: number,
): Promise<string> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`The function did not listen within ${timeoutMs} ms`)),
    timeoutMs,
  );
  const ended = status.then(({ code }): never => {
    throw new Error(`The function ended with code ${code} before it listened`);
  });
  try {
    return await Promise.race([listening, ended, late.promise]);
  } finally {
    clearTimeout(timer);
    ended.catch(() => {/* it listened, and ended later */});
  }
}

/** Waits for the end, and brings it about by SIGKILL when it does not come in time. */
async function endWithin(
  graceMs: number,
  child: Deno.ChildProcess,
  status: Promise<Deno.CommandStatus>,
): Promise<Deno.CommandStatus> {
  const timer = setTimeout(() => sendSignal(child, "SIGKILL"), graceMs);
  try {
    return await status;
  } finally {
    clearTimeout(timer);
  }
}

function sendSignal(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch (error) {
    // "Child process has already terminated": what was wanted.
    if (!(error instanceof TypeError)) throw error;
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

function toFileUrl(entry: string | URL): URL {
  if (entry instanceof URL) return entry;
  return entry.startsWith("file:") ? new URL(entry) : pathToFileURL(entry);
}
