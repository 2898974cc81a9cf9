/**
 * Loaded before the function's entry, in the function's process. It does what the platform does
 * around a function: says where `Deno.serve` listens, supplies `EdgeRuntime`, announces the end.
 * And it ends the process when nobody is left who could.
 *
 * Runs under the hosted runtime's Deno 2.1.4 as well.
 */
import process from "node:process";

/** From here on Deno itself goes by `DENO_SERVE_ADDRESS`: 2.9.6 was seen to, 2.1.4 not to. */
const HONOURS_SERVE_ADDRESS = { major: 2, minor: 9 };

supplyServe();
const background = supplyEdgeRuntime();
void obeyParent();

/** Replaces `Deno.serve` by one that says where it listens, and listens where it should. */
function supplyServe(): void {
  const serve = Deno.serve;
  const supplied = (
    ...args:
      | [Deno.ServeHandler]
      | [Deno.ServeTcpOptions, Deno.ServeHandler]
      | [Deno.ServeTcpOptions & { handler: Deno.ServeHandler }]
  ) => {
    const [first, second] = args;
    const given = typeof first === "function" ? {} : first;
    const handler = typeof first === "function"
      ? first
      : second ?? ("handler" in first ? first.handler : undefined);
    if (handler === undefined) throw new TypeError("Deno.serve: a handler is required");
    const onListen = (address: Deno.NetAddr) => {
      // What Deno says by itself, unless it runs with --quiet.
      // deno-lint-ignore no-console
      console.error(`Listening on http://${address.hostname}:${address.port}/`);
      given.onListen?.(address);
    };
    return serve({ ...given, ...suppliedAddress(), onListen }, handler);
  };
  Object.defineProperty(Deno, "serve", { value: supplied, configurable: true, writable: true });
}

function suppliedAddress(): { hostname?: string; port?: number } {
  const [major = 0, minor = 0] = Deno.version.deno.split(".").map(Number);
  const { major: sinceMajor, minor: sinceMinor } = HONOURS_SERVE_ADDRESS;
  if (major > sinceMajor || (major === sinceMajor && minor >= sinceMinor)) return {};
  const [protocol, hostname, port] = (Deno.env.get("DENO_SERVE_ADDRESS") ?? "").split(":");
  if (protocol !== "tcp" || !hostname || !port) {
    throw new Error("DENO_SERVE_ADDRESS must be tcp:<host>:<port>");
  }
  return { hostname, port: Number(port) };
}

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
