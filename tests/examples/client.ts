// A WebSocket client of the example machine: what it received, in order.
import { until } from "../support/until.ts";
import { sign } from "./tokens.ts";
import type { ExampleServer } from "./example-server.ts";

export class Client implements AsyncDisposable {
  readonly received: unknown[] = [];
  readonly closed: Promise<CloseEvent>;
  readonly #socket: WebSocket;

  private constructor(url: string) {
    this.#socket = new WebSocket(url);
    this.closed = new Promise((resolve) => this.#socket.addEventListener("close", resolve));
    this.#socket.addEventListener("message", ({ data }) => this.received.push(JSON.parse(data)));
  }

  /** Resolves once the machine has greeted it. */
  static async connect(
    server: ExampleServer,
    payload: unknown,
    path = "/",
    query = "",
  ): Promise<Client> {
    const url = `ws://127.0.0.1:${server.port}${path}?token=${sign(payload)}${query}`;
    const client = new Client(url);
    let closed = false;
    client.closed.then(() => closed = true);
    await until("the machine greets", () => {
      if (closed) throw new Error("the server refused the connection");
      return client.received.length > 0;
    });
    return client;
  }

  send(message: unknown): void {
    this.#socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  /** Resolves with the first `count` messages. */
  async messages(count: number): Promise<unknown[]> {
    await until(`${count} messages arrive`, () => this.received.length >= count);
    return this.received;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.closed;
  }
}
