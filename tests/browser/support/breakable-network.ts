/** A network that breaks on demand: passes TCP connections on to a port until they are cut. */
import { connect, createServer, type Server, type Socket } from "node:net";

interface Line {
  client: Socket;
  machine: Socket;
}

export class BreakableNetwork implements AsyncDisposable {
  readonly #server: Server;
  readonly #lines = new Set<Line>();

  private constructor(server: Server, to: number) {
    this.#server = server;
    server.on("connection", (client) => this.#join(client, to));
  }

  /** Listens on a free port of 127.0.0.1. */
  static async to(port: number): Promise<BreakableNetwork> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new BreakableNetwork(server, port);
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("it does not listen");
    return address.port;
  }

  /** How many connections are open. */
  get size(): number {
    return this.#lines.size;
  }

  /** From now on nothing reaches the clients, while all that they send still arrives. */
  deafen(): void {
    for (const { client, machine } of this.#lines) machine.unpipe(client).resume();
  }

  /** Resets every connection on both sides. @returns how many */
  cut(): number {
    const lines = [...this.#lines];
    for (const { client, machine } of lines) {
      client.resetAndDestroy();
      machine.resetAndDestroy();
    }
    return lines.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.cut();
    await closed;
  }

  #join(client: Socket, to: number): void {
    const machine = connect(to, "127.0.0.1");
    const line = { client, machine };
    this.#lines.add(line);
    client.pipe(machine).pipe(client);
    for (const [socket, other] of [[client, machine], [machine, client]] as const) {
      // A reset is what this is for; `close` follows.
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#lines.delete(line);
        other.destroy();
      });
    }
  }
}
