/** Images that run as a process of their own: the programs in `examples/`. */
import { fileURLToPath } from "node:url";
import { KILL_AFTER_MS, type Program, type ProgramInput, type RunningProgram } from "./program.ts";

const EXAMPLES = new URL("../../../../../examples/", import.meta.url);
const WITH_PARENT = fileURLToPath(new URL("./with-parent.ts", import.meta.url));
/** Enough for Deno to start; nothing of the developer's. */
const NAMES_KEPT = ["PATH", "HOME", "DENO_DIR", "TMPDIR"];
const OUTPUT_KEPT = 4_000;
const LISTENING = /"event":"listening".*"port":(\d+)/;

/** Takes each line that a Machine's process writes, with the Machine's name. */
export type OnLine = (machine: string, line: string) => void;

/**
 * A program below `examples/`, run by this Deno. It listens on a free port; PORT and HOST of its
 * environment are what it would have used on Fly.io and are replaced.
 */
export function exampleProcess(entry: string, onLine: OnLine): Program {
  return (input) => new ExampleProcess(entry, input, onLine);
}

class ExampleProcess implements RunningProgram {
  readonly listening: Promise<number | null>;
  readonly ended: Promise<number>;
  readonly #child: Deno.ChildProcess;
  #output = "";
  #killTimer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  constructor(entry: string, { env, machine }: ProgramInput, onLine: OnLine) {
    const kept = NAMES_KEPT.flatMap((name) => {
      const value = Deno.env.get(name);
      return value === undefined ? [] : [[name, value] as const];
    });
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "-A", WITH_PARENT, new URL(entry, EXAMPLES).href],
      clearEnv: true,
      env: { ...env, ...Object.fromEntries(kept), HOST: "127.0.0.1", PORT: "0" },
      // Held open for as long as this process lives: with-parent.ts ends when it closes.
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const port = Promise.withResolvers<number | null>();
    this.listening = port.promise;
    const read = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
      let rest = "";
      for await (const text of stream.pipeThrough(new TextDecoderStream())) {
        const lines = (rest + text).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          this.#output = (this.#output + line + "\n").slice(-OUTPUT_KEPT);
          onLine(machine.name, line);
          const found = LISTENING.exec(line)?.[1];
          if (found) port.resolve(Number(found));
        }
      }
    };
    this.ended = Promise.all([
      this.#child.status,
      read(this.#child.stdout),
      read(this.#child.stderr),
    ]).then(async ([{ code }]) => {
      this.#isOver = true;
      clearTimeout(this.#killTimer);
      port.resolve(null);
      await this.#child.stdin.close().catch(() => {/* the other end is gone */});
      return code;
    });
  }

  stop(): void {
    if (this.#killTimer !== undefined) return;
    this.#signal("SIGINT");
    this.#killTimer = setTimeout(() => this.kill(), KILL_AFTER_MS);
  }

  kill(): void {
    this.#signal("SIGKILL");
  }

  freeze(frozen: boolean): void {
    this.#signal(frozen ? "SIGSTOP" : "SIGCONT");
  }

  #signal(signal: Deno.Signal): void {
    if (this.#isOver) return;
    try {
      this.#child.kill(signal);
    } catch (error) {
      // It has ended, and only its output is still being read.
      if (!(error instanceof TypeError)) throw error;
    }
  }
}
