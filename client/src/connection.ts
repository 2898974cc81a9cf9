/**
 * A WebSocket to a machine that survives lost connections: each new one has a fresh token and goes on
 * where the last one ended.
 */
import { failed, ProvisionMachineError } from "./errors.ts";
import { onAbort } from "./host.ts";
import { acknowledged } from "./protocol.ts";
import type {
  Connection,
  ConnectOptions,
  MachineConnection,
  WebSocketConstructor,
} from "./types.ts";
import { backoff, type Wait } from "./wait.ts";

/** Fly Proxy holds a connection while the machine wakes up. */
const OPEN_WITHIN_MS = 20_000;
/** https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1 */
const MESSAGE_TOO_BIG = 1009;

/** What a connection is made with. */
export interface ConnectionParts {
  /** Asks for an address and a token. @throws {ProvisionMachineError} */
  request: (signal: AbortSignal) => Promise<Connection>;
  WebSocket: WebSocketConstructor | undefined;
  wait: Wait;
}

/** Starts at once. */
export function connect(
  { request, WebSocket = globalThis.WebSocket, wait }: ConnectionParts,
  options: ConnectOptions,
): MachineConnection {
  const { onState, onSocket } = options;
  const protocol = onSocket ? null : acknowledged(options);
  const closing = new AbortController();
  const { signal } = closing;
  const close = () => closing.abort();
  let closed: ProvisionMachineError | undefined;
  let failures = 0;

  /** Uses one socket until it ends. @returns what was wrong with it */
  const use = (url: string) =>
    new Promise<ProvisionMachineError>((resolve) => {
      const socket = new WebSocket(protocol?.address(url) ?? url);
      const end = (error = failed("Connection lost")) => {
        clearTimeout(timer);
        stop();
        resolve(error);
        // A socket without a network reports its end only minutes later.
        socket.close();
      };
      const opened = () => {
        clearTimeout(timer);
        failures = -2;
        onState?.("open", null);
      };
      const timer = setTimeout(() => end(), OPEN_WITHIN_MS);
      const stop = onAbort(signal, () => end());
      socket.addEventListener("close", ({ code }) =>
        end(
          code === MESSAGE_TOO_BIG
            ? new ProvisionMachineError("payload_too_large", "Text too long")
            : undefined,
        ));
      // The event `close` follows.
      socket.addEventListener("error", () => {});
      if (!protocol) socket.addEventListener("open", opened);
      protocol?.attach({ socket, opened, end });
      onSocket?.(socket);
    }).finally(protocol?.detach);

  /** Opens one socket after the other until it is closed. @returns why it cannot go on */
  const run = async (): Promise<ProvisionMachineError | null> => {
    while (!signal.aborted) {
      if (!WebSocket) {
        return failed("Pass a WebSocket", { retry: "no" });
      }
      const error = await request(signal).then(({ url }) => use(url)).catch(toError);
      if (signal.aborted) break;
      if (error.retry === "no") return error;
      failures++;
      onState?.("connecting", error);
      // Not all clients that were cut off at once should come back at once.
      const delayMs = backoff(failures, error.retryAfterSeconds) * (1 + Math.random());
      await wait(delayMs, signal).catch(() => {});
    }
    return null;
  };

  const stop = onAbort(options.signal, close);
  void run().then((error) => {
    stop();
    closed = error ?? failed("Connection closed");
    protocol?.end(closed);
    onState?.("closed", error);
  });
  return {
    send: (text) =>
      protocol && !closed
        ? protocol.send(text)
        : Promise.reject(closed ?? failed("Use onSocket", { retry: "no" })),
    close,
  };
}

/** What is no answer comes from the caller's own functions, which another attempt does not change. */
function toError(thrown: unknown): ProvisionMachineError {
  return thrown instanceof ProvisionMachineError
    ? thrown
    : failed(`${thrown}`, { retry: "no", cause: thrown });
}
