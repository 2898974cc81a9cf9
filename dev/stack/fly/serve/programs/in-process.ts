/** Images that run inside the simulator's process, so that a test can have hundreds of Machines. */
import { KILL_AFTER_MS, type RunningProgram } from "./program.ts";

/** One end of an open connection. */
export interface Conversation {
  /** Called once with how to send a message to the client as JSON. */
  greet(send: (message: unknown) => void): void;
  /** The answers to a message of the client, each sent as JSON, or how to close the connection. */
  answer(data: unknown): unknown[] | { close: number; reason: string };
}

/** How a server inside this process treats a request. */
export interface InProcessServer {
  /** A conversation accepts the WebSocket; a Response refuses it, or answers a plain request. */
  respond(request: Request, isWebSocket: boolean): Promise<Conversation | Response>;
}

/** Serves on a free port of 127.0.0.1 until it is stopped. */
export function runInProcess({ respond }: InProcessServer): RunningProgram {
  const open = new Map<WebSocket, Promise<void>>();
  const ended = Promise.withResolvers<number>();
  const killed = new AbortController();
  let killTimer: ReturnType<typeof setTimeout> | undefined;
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, signal: killed.signal, onListen: () => {} },
    async (request) => {
      const isWebSocket = request.headers.get("upgrade")?.toLowerCase() === "websocket";
      const answer = await respond(request, isWebSocket);
      if (answer instanceof Response) return answer;
      const { socket, response } = Deno.upgradeWebSocket(request);
      const closed = converse(socket, answer);
      open.set(socket, closed);
      closed.then(() => open.delete(socket));
      return response;
    },
  );
  const kill = () => {
    clearTimeout(killTimer);
    killed.abort();
    // Its connections are broken off by the proxy: this process cannot do it for one server.
    server.finished.then(() => ended.resolve(137));
  };
  return {
    listening: Promise.resolve(server.addr.port),
    ended: ended.promise,
    async stop() {
      if (killTimer !== undefined) return;
      killTimer = setTimeout(kill, KILL_AFTER_MS);
      for (const socket of open.keys()) socket.close(1001, "The machine is stopping.");
      // First, because the server would close them in its own words.
      await Promise.all(open.values());
      await server.shutdown();
      clearTimeout(killTimer);
      ended.resolve(0);
    },
    kill,
    // No request reaches a suspended Machine, so there is nothing to halt.
    freeze() {},
  };
}

/** Resolves when the connection is closed. */
function converse(socket: WebSocket, conversation: Conversation): Promise<void> {
  const send = (message: unknown) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  };
  socket.onopen = () => conversation.greet(send);
  socket.onmessage = ({ data }) => {
    const answer = conversation.answer(data);
    if (Array.isArray(answer)) answer.forEach(send);
    else socket.close(answer.close, answer.reason);
  };
  // What ended it shows in the close event that follows.
  socket.onerror = () => {};
  return new Promise((resolve) => {
    socket.onclose = () => resolve();
  });
}
