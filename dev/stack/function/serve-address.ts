/**
 * Loaded before a function's entry: makes `Deno.serve` listen at `DENO_SERVE_ADDRESS` and say where
 * that is, whichever Deno runs it.
 */

/** From here on Deno itself goes by `DENO_SERVE_ADDRESS`: 2.9.6 was seen to, 2.1.4 not to. */
const HONOURS_SERVE_ADDRESS = { major: 2, minor: 9 };

supplyServe();

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
      // What Deno itself prints, unless it runs with --quiet.
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
