/**
 * Loaded before the function's entry, in the function's process. It does what the platform does
 * around a function: says where `Deno.serve` listens, supplies `EdgeRuntime`, announces the end.
 * And it ends the process when its parent is gone.
 *
 * Runs under the hosted runtime's Deno 2.1.4 as well.
 */
import process from "node:process";
import "./serve-address.ts";

const background = supplyEdgeRuntime();
void obeyParent();

/**
 * Supplies `EdgeRuntime.waitUntil` and returns the work that it was given.
 * https://supabase.com/docs/guides/functions/background-tasks
 */
function supplyEdgeRuntime(): Set<Promise<unknown>> {
  const work = new Set<Promise<unknown>>();
  const waitUntil = (promise: Promise<unknown>) => {
    work.add(promise);
    const done = () => void work.delete(promise);
    promise.then(done, done);
  };
  Object.defineProperty(globalThis, "EdgeRuntime", { value: { waitUntil }, configurable: true });
  return work;
}

/**
 * Standard input is a pipe that the parent holds open. `retire <reason>` on it ends the function
 * as the platform does; its end means that the parent is gone, however it went.
 */
async function obeyParent(): Promise<void> {
  let text = "";
  for await (const chunk of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const [, reason] = /^retire (.*)\n/.exec(text) ?? [];
    if (reason !== undefined) await retire(reason);
  }
  // Not `Deno.exit`: under `--watch` that ends the function but not its process.
  process.abort();
}

/** Announces the end, lets background work finish, then ends. */
async function retire(reason: string): Promise<void> {
  globalThis.dispatchEvent(new CustomEvent("beforeunload", { detail: { reason } }));
  while (background.size > 0) await Promise.allSettled(background);
  Deno.exit(0);
}
