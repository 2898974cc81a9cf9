/** Which program an image's name stands for. */
import { exampleMachine } from "./example-machine.ts";
import { hostile } from "./hostile.ts";
import { exampleProcess, type OnLine } from "./process.ts";
import type { Program, ProgramInput, RunningProgram } from "./program.ts";

export interface ImageOptions {
  /** Run the example image inside this process, for hundreds of Machines. */
  inProcess: boolean;
  onLine: OnLine;
}

/**
 * Starts the program of an image. A name that contains `router` is `examples/router`, `hostile` an
 * image that lets anyone in; every other image is `examples/machine`.
 */
export function startImage(input: ProgramInput, options: ImageOptions): RunningProgram {
  return programOf(input, options)(input);
}

function programOf({ image }: ProgramInput, { inProcess, onLine }: ImageOptions): Program {
  if (image.includes("hostile")) return hostile;
  if (image.includes("router")) return exampleProcess("router/router.mjs", onLine);
  return inProcess ? exampleMachine : exampleProcess("machine/server.mjs", onLine);
}
