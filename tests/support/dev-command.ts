/** Runs `deno task dev` as a developer does, and checks what it leaves behind. */
import { join, resolve } from "node:path";
import { ENVIRONMENT } from "../../supabase/functions/provision-machine/config/environment.ts";
import { until } from "./until.ts";

const PROJECT_ROOT = resolve(import.meta.dirname ?? ".", "../..");

export interface DevCommandOptions {
  /** Variables set in the developer's shell. */
  env?: Record<string, string>;
  /** Run through `deno task`, as a developer types it; otherwise the task's command directly. */
  throughTask?: boolean;
}

export interface DevCommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** A running command. Disposing kills it. */
export class DevCommand implements AsyncDisposable {
  stdout = "";
  stderr = "";
  /** Settles when it has ended and all of its output was read. */
  readonly ended: Promise<DevCommandResult>;
  readonly #child: Deno.ChildProcess;

  constructor(args: string[], { env = {}, throughTask = false }: DevCommandOptions = {}) {
    const how = throughTask
      ? ["task", "--quiet", "dev"]
      : ["run", "--quiet", "-A", join(PROJECT_ROOT, "dev/tasks/start/main.ts")];
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [...how, ...args],
      cwd: PROJECT_ROOT,
      clearEnv: true,
      env: { ...environmentOfNoDeveloper(), ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.ended = Promise.all([
      this.#child.status,
      readText(this.#child.stdout, (text) => this.stdout += text),
      readText(this.#child.stderr, (text) => this.stderr += text),
    ]).then(([{ code }]) => ({ code, stdout: this.stdout, stderr: this.stderr }));
  }

  get pid(): number {
    return this.#child.pid;
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Resolves once what it printed contains the text. */
  async untilPrinted(text: string): Promise<void> {
    let result: DevCommandResult | undefined;
    this.ended.then((ended) => result = ended);
    await until(`the command prints "${text}"`, () => {
      if (this.stdout.includes(text) || this.stderr.includes(text)) return true;
      if (result) throw new Error(`ended before "${text}":\n${result.stdout}${result.stderr}`);
      return false;
    }, 60_000);
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
}

/** Runs the command to its end. */
export async function runDevCommand(
  args: string[],
  env: Record<string, string> = {},
): Promise<DevCommandResult> {
  await using command = new DevCommand(args, { env });
  return await command.ended;
}

/** The ports of 127.0.0.1 that a text names. */
export function portsIn(text: string): number[] {
  const ports = [...text.matchAll(/\b127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port));
  return [...new Set(ports)];
}

/** Whether a server listens on a port of 127.0.0.1. */
export async function isOpen(port: number): Promise<boolean> {
  try {
    using _ = await Deno.connect({ hostname: "127.0.0.1", port });
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return false;
    // Its server closed while the connection waited to be accepted: it was open until now.
    if (error instanceof Deno.errors.ConnectionReset) return true;
    throw error;
  }
}

/** The processes below one, children of children included. */
export async function processesBelow(pid: number): Promise<number[]> {
  const processes = await listProcesses();
  const below = (parent: number): number[] =>
    processes.filter((process) => process.parent === parent)
      .flatMap((process) => [process.pid, ...below(process.pid)]);
  return below(pid);
}

/** Whether a process exists and has not ended. */
export async function isRunning(pid: number): Promise<boolean> {
  return (await listProcesses()).some((process) => process.pid === pid);
}

interface ListedProcess {
  pid: number;
  parent: number;
}

/** Every process that runs; a zombie (`Z`), which has ended, does not. */
async function listProcesses(): Promise<ListedProcess[]> {
  return Deno.build.os === "linux" ? await readProc() : await askPs();
}

async function readProc(): Promise<ListedProcess[]> {
  const found: ListedProcess[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = await Deno.readTextFile(`/proc/${name}/stat`);
      // The name, in parentheses, may itself hold spaces and parentheses.
      const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (state !== "Z") found.push({ pid: Number(name), parent: Number(parent) });
    } catch {
      // Ended meanwhile.
    }
  }
  return found;
}

async function askPs(): Promise<ListedProcess[]> {
  const { stdout } = await new Deno.Command("ps", { args: ["-A", "-o", "pid=,ppid=,stat="] })
    .output();
  return new TextDecoder().decode(stdout).trim().split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , state]) => !state?.startsWith("Z"))
    .map(([pid, parent]) => ({ pid: Number(pid), parent: Number(parent) }));
}

async function readText(
  stream: ReadableStream<Uint8Array>,
  onText: (text: string) => void,
): Promise<void> {
  for await (const text of stream.pipeThrough(new TextDecoderStream())) onText(text);
}

/** This process' environment without what a developer sets for the function or the command. */
function environmentOfNoDeveloper(): Record<string, string> {
  const own = Object.entries(Deno.env.toObject()).filter(([name]) =>
    !Object.hasOwn(ENVIRONMENT, name) && name !== "DATABASE_URL"
  );
  return { ...Object.fromEntries(own), NO_COLOR: "1" };
}
