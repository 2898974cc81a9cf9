/** What a Machine runs: a server on a port of 127.0.0.1 that stands for the image's own port. */

/** Fly.io's default between the signal and the kill (docs, Machines resource: `stop_config`). */
export const KILL_AFTER_MS = 5_000;

/** What an image is started with. */
export interface ProgramInput {
  /** The whole environment, as the image finds it. */
  env: Readonly<Record<string, string>>;
  image: string;
  /** The Machine's id, name and region. */
  machine: { id: string; name: string; region: string };
}

/** A started image. Starting one is synchronous; whether it listens shows later. */
export interface RunningProgram {
  /** The port on 127.0.0.1, or null when it ended before it listened. */
  readonly listening: Promise<number | null>;
  /** Its exit code, once nothing is left of it. Never rejects. */
  readonly ended: Promise<number>;
  /** Sends SIGINT, and SIGKILL after {@link KILL_AFTER_MS}. */
  stop(): void;
  /** Ends it at once. */
  kill(): void;
  /** Halts it as a suspended Machine is halted, or lets it go on. */
  freeze(frozen: boolean): void;
}

/** Starts an image. */
export type Program = (input: ProgramInput) => RunningProgram;

/** The port that the image listens on: the examples' own default is 8080. */
export function imagePort(env: Readonly<Record<string, string>>): number {
  return Number(env.PORT ?? 8080);
}

/** An image that ends at once, as one does that refuses its environment. */
export function endedProgram(code: number): RunningProgram {
  return {
    listening: Promise.resolve(null),
    ended: Promise.resolve(code),
    stop() {},
    kill() {},
    freeze() {},
  };
}
