/**
 * Temporary: what a Machine without CONNECT_KEY runs. The example image demands that key, and
 * provision-machine does not set it yet; once it does, this file and its line in images.ts go.
 */
import { runInProcess } from "./in-process.ts";
import type { ProgramInput, RunningProgram } from "./program.ts";

/** Admits anyone, greets with the Machine's name, region and image, and sends each message back. */
export function plainEcho({ image, machine }: ProgramInput): RunningProgram {
  const greeting = { machine: machine.name, region: machine.region, image };
  return runInProcess({
    respond: (_request, isWebSocket) =>
      Promise.resolve(
        isWebSocket
          ? { greeting, answer: (data) => [{ echo: data }] }
          : Response.json({ error: "Connect with a WebSocket." }, { status: 426 }),
      ),
  });
}
