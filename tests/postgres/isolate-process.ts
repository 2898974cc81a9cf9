/** One place where the function runs: a process that can be killed and is then replaced. */
import {
  type FunctionProcess,
  type OutputLine,
  startFunction,
} from "../../dev/stack/function/mod.ts";

export class IsolateProcess {
  kills = 0;
  #process: FunctionProcess | null = null;
  readonly #lines: OutputLine[] = [];

  constructor(private readonly env: () => Record<string, string>) {}

  /** Base address of the function, or null while none runs. */
  get url(): string | null {
    return this.#process && `${this.#process.url}/provision-machine`;
  }

  /** Every line of every process that ran here. */
  get lines(): OutputLine[] {
    return this.#lines;
  }

  async start(): Promise<void> {
    this.#process ??= await startFunction({
      env: this.env(),
      onLine: (stream, line) => void this.#lines.push({ stream, line }),
    });
  }

  /** SIGKILL: no handler runs, nothing is handed over. */
  async kill(): Promise<void> {
    const process = this.#process;
    this.#process = null;
    if (process === null) return;
    this.kills++;
    await process.kill();
  }

  async stop(): Promise<void> {
    const process = this.#process;
    this.#process = null;
    await process?.stop();
  }
}
