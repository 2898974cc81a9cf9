// Runs an example server as a process of its own on a free port of 127.0.0.1.
import { fileURLToPath } from "node:url";
import { until } from "../support/until.ts";
import { KEY, MACHINE_ID, SECRET } from "./tokens.ts";

const EXAMPLES = new URL("../../examples/", import.meta.url);
/** What Deno and Node need to start, without the developer's own settings. */
const NAMES_KEPT = ["PATH", "HOME", "DENO_DIR", "TMPDIR"];

interface Program {
  entry: string;
  /** The environment that the program has in production. */
  env: Record<string, string>;
}

export const MACHINE: Program = {
  entry: "machine/server.mjs",
  env: { MACHINE_ID, CONNECT_KEY: KEY },
};

export const ROUTER: Program = {
  entry: "router/router.mjs",
  env: { CONNECT_TOKEN_SECRET: SECRET },
};

export interface StartOptions {
  /** Changes to the default environment; an empty text counts as not set. */
  env?: Record<string, string>;
  /** The command in front of the entry. Default: this Deno, as the local stack runs it. */
  command?: string[];
  /** The folder that holds `machine` and `router`. */
  examples?: URL;
}

export interface Ended {
  code: number;
  output: string;
}

/** A running server. Disposing kills it. */
export class ExampleServer implements AsyncDisposable {
  /** Its output on both streams. */
  output = "";
  port = 0;
  readonly ended: Promise<Ended>;
  readonly #child: Deno.ChildProcess;

  private constructor(program: Program, options: StartOptions) {
    const { command = [Deno.execPath(), "run", "--quiet", "-A"], examples = EXAMPLES } = options;
    const [executable = "", ...args] = command;
    const kept = NAMES_KEPT.map((name) => [name, Deno.env.get(name) ?? ""]);
    this.#child = new Deno.Command(executable, {
      args: [...args, fileURLToPath(new URL(program.entry, examples))],
      clearEnv: true,
      env: set({
        ...Object.fromEntries(kept),
        HOST: "127.0.0.1",
        PORT: "0",
        ...program.env,
        ...options.env,
      }),
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.ended = Promise.all([
      this.#child.status,
      this.#read(this.#child.stdout),
      this.#read(this.#child.stderr),
    ]).then(([{ code }]) => ({ code, output: this.output }));
  }

  /** Resolves once it listens; throws with its output if it ends before. */
  static async start(program: Program, options: StartOptions = {}): Promise<ExampleServer> {
    const server = new ExampleServer(program, options);
    let ended: Ended | undefined;
    server.ended.then((result) => ended = result);
    const [, port] = await until(`${program.entry} listens`, () => {
      if (ended) throw new Error(`${program.entry} ended before it listened:\n${ended.output}`);
      return /"event":"listening".*"port":(\d+)/.exec(server.output);
    });
    server.port = Number(port);
    return server;
  }

  /** Resolves when it has ended, which a server that refuses its settings does. */
  static runToEnd(program: Program, env: Record<string, string>): Promise<Ended> {
    return new ExampleServer(program, { env }).ended;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Sends the signal, resolves when the process has ended. */
  stop(signal: Deno.Signal): Promise<Ended> {
    this.#child.kill(signal);
    return this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch (error) {
      // It has ended already.
      if (!(error instanceof TypeError)) throw error;
    }
    await this.ended;
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) this.output += text;
  }
}

function set(env: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
}
