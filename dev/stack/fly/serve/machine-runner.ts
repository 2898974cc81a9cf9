/** Runs a program for each Machine for as long as it is started. */
import type { Machine } from "../world/machine.ts";
import type { World } from "../world/world.ts";
import { machineEnvironment } from "./environment.ts";
import { type ImageOptions, startImage } from "./programs/images.ts";
import { imagePort, type RunningProgram } from "./programs/program.ts";
import { untilChange } from "./until-change.ts";

export interface RunnerOptions extends ImageOptions {
  world: World;
  /** The secrets of an app, as they are when a Machine starts. */
  secrets: (app: string) => Readonly<Record<string, string>>;
  /** Whether a Machine that is resumed now lost its memory while it was suspended. */
  losesSnapshot: () => boolean;
  /** A program ended although its Machine is started. */
  onExit: (machine: Machine, exitCode: number) => void;
  /** A Machine is suspended, killed or gone: nothing of its connections is left. */
  onCut: (machine: Machine) => void;
}

interface Running {
  program: RunningProgram;
  /** Where on the Machine it listens, and whether Fly Proxy can reach it there. */
  port: number;
  reachable: boolean;
  frozen: boolean;
  /** It was asked to end, so its end is no exit of the Machine's own. */
  ending: boolean;
}

/** Whom a request reaches on a Machine: a port of 127.0.0.1, or no one. */
export type Door = { port: number } | "refused";

export class MachineRunner {
  readonly #options: RunnerOptions;
  readonly #running = new Map<Machine, Running>();
  readonly #watches = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  /** Aborted when the simulator forgets every Machine. */
  #forgotten = new AbortController();
  readonly #unsubscribe: () => void;

  constructor(options: RunnerOptions) {
    this.#options = options;
    const { world } = options;
    this.#unsubscribe = world.onMachines((added) => {
      if (added !== null) return this.#add(added);
      this.#forgotten.abort();
      this.#forgotten = new AbortController();
    });
    for (const machine of world.machines()) this.#add(machine);
  }

  /**
   * Where a request to a port of a started Machine arrives. Waits for a program that is still coming up.
   * A program that listens elsewhere, on loopback alone or not at all, refuses (PC01:
   * https://fly.io/docs/monitoring/error-codes/).
   */
  async door(machine: Machine, internalPort: number): Promise<Door> {
    // Who woke the machine may be here before its watch.
    await this.#follow(machine);
    const running = this.#running.get(machine);
    if (running === undefined || !running.reachable || running.port !== internalPort) {
      return "refused";
    }
    const port = await running.program.listening;
    return port === null ? "refused" : { port };
  }

  /** Stops every program and resolves once nothing is left of them. */
  async close(): Promise<void> {
    this.#unsubscribe();
    this.#closing.abort();
    for (const running of this.#running.values()) this.#stop(running);
    await Promise.all([...this.#watches]);
  }

  #add(machine: Machine): void {
    const watch = this.#watch(machine, this.#forgotten.signal);
    this.#watches.add(watch);
    watch.finally(() => this.#watches.delete(watch));
  }

  /** Follows a Machine until it is destroyed, the simulator forgets it, or the runner is closed. */
  async #watch(machine: Machine, forgotten: AbortSignal): Promise<void> {
    const { world } = this.#options;
    const ended = AbortSignal.any([forgotten, this.#closing.signal]);
    while (!ended.aborted && machine.state(world.now()) !== "destroyed") {
      await this.#follow(machine);
      await untilChange(world.clock, machine, ended);
    }
    if (!this.#closing.signal.aborted) this.#kill(machine);
    await this.#running.get(machine)?.program.ended;
  }

  /** Brings the program into the state that the Machine is in. */
  async #follow(machine: Machine): Promise<void> {
    const now = this.#options.world.now();
    const running = this.#running.get(machine);
    const state = machine.state(now);
    if (state === "started") {
      if (running?.frozen && !running.ending) this.#resume(running);
      if (running?.ending) await running.program.ended;
      if (!this.#running.has(machine)) this.#start(machine);
      return;
    }
    if (running === undefined || state === "starting" || state === "suspending") return;
    if (state === "suspended") {
      if (!running.frozen) freeze(running, true);
      this.#options.onCut(machine);
    } else if (state === "stopping" || state === "restarting") {
      this.#stop(running);
    } else {
      const exit = machine.events(now).find(({ type }) => type === "exit")?.request?.exit_event;
      if (state === "stopped" && exit?.requested_stop) this.#stop(running);
      else this.#kill(machine);
      await running.program.ended;
    }
  }

  #start(machine: Machine): void {
    const { secrets, onExit, world } = this.#options;
    const { id, name, region, app, config } = machine.identity;
    const env = machineEnvironment(machine.identity, secrets(app));
    const program = startImage(
      { env, image: config.image, machine: { id, name, region } },
      this.#options,
    );
    // An image that listens on 127.0.0.1 alone is out of Fly Proxy's reach.
    const reachable = !/^(127\.|localhost$|::1$)/.test(env.HOST ?? "");
    const running = { program, port: imagePort(env), reachable, frozen: false, ending: false };
    this.#running.set(machine, running);
    program.ended.then((code) => {
      this.#running.delete(machine);
      const byItself = !running.ending && machine.state(world.now()) === "started";
      if (byItself && !this.#closing.signal.aborted) onExit(machine, code);
    });
  }

  /** No field of the API distinguishes a resume from a cold start. */
  #resume(running: Running): void {
    if (this.#options.losesSnapshot()) this.#killProgram(running);
    else freeze(running, false);
  }

  #stop(running: Running): void {
    // A halted process would not notice the signal.
    if (running.frozen) return this.#killProgram(running);
    running.ending = true;
    running.program.stop();
  }

  #kill(machine: Machine): void {
    const running = this.#running.get(machine);
    if (running) this.#killProgram(running);
    this.#options.onCut(machine);
  }

  #killProgram(running: Running): void {
    running.ending = true;
    running.program.kill();
  }
}

function freeze(running: Running, frozen: boolean): void {
  running.frozen = frozen;
  running.program.freeze(frozen);
}
