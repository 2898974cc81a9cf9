/** When to stop: at a signal, or when the process that started the command is gone. */
import { parentProcesses } from "./parent-processes.ts";
import process from "node:process";

/** SIGHUP comes when the terminal is closed. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const PARENTS_CHECK_MS = 1_000;

export interface Interruption {
  signal: AbortSignal;
  /** Rejects when interrupted. */
  interrupted: Promise<never>;
  interrupt(): void;
}

/**
 * Listens for as long as the process lives. One Ctrl-C may arrive as several signals (from the
 * terminal and through `deno task`), so those after the first change nothing.
 */
export function listenForInterruption(onInterrupt: () => void): Interruption {
  const controller = new AbortController();
  const { promise: interrupted, reject } = Promise.withResolvers<never>();
  interrupted.catch(() => {/* there may be no one waiting for it */});
  const interrupt = () => {
    if (controller.signal.aborted) return;
    const reason = new DOMException("interrupted", "AbortError");
    controller.abort(reason);
    reject(reason);
    onInterrupt();
  };
  for (const signal of SIGNALS) Deno.addSignalListener(signal, interrupt);
  const started = parentProcesses(Deno.ppid);
  setInterval(() => {
    if (!started.every(isAlive)) interrupt();
  }, PARENTS_CHECK_MS);
  return { signal: controller.signal, interrupted, interrupt };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // EPERM: it exists, and belongs to another user.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
