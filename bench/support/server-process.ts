/**
 * A server under measurement, as a process of its own: started with the flags that every other one
 * gets, its CPU time and memory read from the kernel. Its log goes to a file: a pipe would have it
 * wake its reader at each line, and the time for that would be counted as its own.
 */
import { fileURLToPath } from "node:url";
import { mainModule } from "../../dev/stack/function/mod.ts";

export interface ServerOptions {
  /** Its main module; it listens where `DENO_SERVE_ADDRESS` says. */
  entry: URL;
  env?: Record<string, string>;
  /** The only processor it may use; undefined: all of them. */
  processor?: number | undefined;
  /** Put before the entry, such as `--cpu-prof`. */
  denoFlags?: string[];
  /** Path of the Deno to run it. Default: this one. */
  deno?: string | undefined;
}

const PROJECT = new URL("../../", import.meta.url);
const FUNCTION = new URL("supabase/functions/provision-machine/", PROJECT);
const SERVE_ADDRESS = new URL("dev/stack/function/serve-address.ts", PROJECT);
/** What Deno itself needs to find its cache and its registry. */
const NAMES_FOR_DENO =
  /^(PATH|HOME|TMPDIR|DENO_DIR|DENO_CERT|DENO_TLS_CA_STORE|SSL_CERT_.*|NPM_CONFIG_.*|HTTPS?_PROXY|NO_PROXY)$/i;
/** `USER_HZ`: the unit of CPU times in /proc, the same on every Linux that Deno runs on. */
const TICK_MS = 10;
const PAGE_BYTES = 4096;
const STARTED = /^Listening on (http:\/\/\S+?)\/?(?:\s|$)/m;

export class ServerProcess implements AsyncDisposable {
  private constructor(
    private readonly child: Deno.ChildProcess,
    private readonly errors: { bytes: number; read: Promise<void> },
    private readonly logFile: string,
    readonly url: string,
  ) {}

  /** Resolves once it listens. Throws with what it wrote when it ends before. */
  static async start(options: ServerOptions): Promise<ServerProcess> {
    const logFile = await Deno.makeTempFile({ prefix: "bench-", suffix: ".log" });
    const child = command(options, logFile).spawn();
    const listening = Promise.withResolvers<string>();
    const errors = { bytes: 0, read: Promise.resolve() };
    errors.read = (async () => {
      let text = "";
      let listens = false;
      for await (const chunk of child.stderr) {
        if (listens) errors.bytes += chunk.length;
        else text += new TextDecoder().decode(chunk);
        const url = listens ? undefined : STARTED.exec(text)?.[1];
        if (url === undefined) continue;
        listens = true;
        listening.resolve(url);
      }
      listening.reject(new Error(`${options.entry.pathname} ended before it listened:\n${text}`));
    })();
    return new ServerProcess(child, errors, logFile, await listening.promise);
  }

  get pid(): number {
    return this.child.pid;
  }

  /** Bytes written to standard output and error since it listens. */
  async loggedBytes(): Promise<number> {
    return (await Deno.stat(this.logFile)).size + this.errors.bytes;
  }

  /** User and system time of all its threads so far, in milliseconds. */
  async cpuMs(): Promise<number> {
    const stat = await Deno.readTextFile(`/proc/${this.pid}/stat`);
    // The second field is the program's name in parentheses and may hold spaces.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  }

  /** Memory that is resident now, in bytes. */
  async residentBytes(): Promise<number> {
    const statm = await Deno.readTextFile(`/proc/${this.pid}/statm`);
    return Number(statm.split(" ")[1]) * PAGE_BYTES;
  }

  /** Ends it at once; it has nothing to clean up. */
  async stop(): Promise<void> {
    try {
      this.child.kill("SIGKILL");
    } catch (error) {
      // It has ended already.
      if (!(error instanceof TypeError)) throw error;
    }
    await Promise.all([this.child.status, this.errors.read]);
    await Deno.remove(this.logFile);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

function command(options: ServerOptions, logFile: string): Deno.Command {
  const { entry, env = {}, processor, denoFlags = [], deno = Deno.execPath() } = options;
  const own = Object.entries(Deno.env.toObject()).filter(([name]) => NAMES_FOR_DENO.test(name));
  const args = [
    "run",
    "--no-prompt",
    "--allow-net",
    "--allow-env",
    ...packagesFor(deno),
    ...denoFlags,
    mainModule(SERVE_ADDRESS, entry),
  ];
  const pinned = processor === undefined ? [] : ["taskset", "--cpu-list", String(processor)];
  return new Deno.Command("sh", {
    args: ["-c", 'exec "$@" >"$0"', logFile, ...pinned, deno, ...args],
    clearEnv: true,
    env: {
      ...Object.fromEntries(own),
      NO_COLOR: "1",
      DENO_NO_UPDATE_CHECK: "1",
      DENO_SERVE_ADDRESS: "tcp:127.0.0.1:0",
      ...env,
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

/**
 * What is imported, without asking the registry. A Deno other than this one gets the function's own
 * imports and lock file, as they are deployed: the project's lock file is too new for it.
 */
function packagesFor(deno: string): string[] {
  if (deno === Deno.execPath()) return [`--config=${fileURLToPath(new URL("deno.json", PROJECT))}`];
  return [
    "--no-config",
    `--import-map=${fileURLToPath(new URL("deno.json", FUNCTION))}`,
    `--lock=${fileURLToPath(new URL("deno.lock", FUNCTION))}`,
    "--frozen",
  ];
}
