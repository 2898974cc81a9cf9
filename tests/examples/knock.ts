// Asks a server for a WebSocket over plain TCP, and shows what it answers: status, headers, body.
import { Buffer } from "node:buffer";

export interface Answer {
  status: number;
  headers: Headers;
  /** Empty after 101, and when the server keeps the connection. */
  body: string;
}

/** A raw connection whose handshake was sent. Disposing closes it. */
export class RawSocket implements Disposable {
  #received = Buffer.alloc(0);

  private constructor(readonly connection: Deno.Conn) {}

  static async open(
    port: number,
    target: string,
    headers: Record<string, string> = {},
  ): Promise<RawSocket> {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    const lines = Object.entries({
      Host: "127.0.0.1",
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
      ...headers,
    }).map(([name, value]) => `${name}: ${value}\r\n`);
    const request = Buffer.from(`GET ${target} HTTP/1.1\r\n${lines.join("")}\r\n`);
    for (let sent = 0; sent < request.length;) {
      sent += await connection.write(request.subarray(sent));
    }
    return new RawSocket(connection);
  }

  /** Reads the answer to the handshake. */
  async answer(): Promise<Answer> {
    let end = -1;
    while ((end = this.#received.indexOf("\r\n\r\n")) < 0) {
      if (!await this.#more()) throw new Error(`closed after: ${this.#received}`);
    }
    const [first = "", ...lines] = this.#received.subarray(0, end).toString().split("\r\n");
    this.#received = this.#received.subarray(end + 4);
    const headers = new Headers(lines.map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    }));
    const status = Number(first.split(" ")[1]);
    if (headers.get("connection") !== "close") return { status, headers, body: "" };
    while (await this.#more());
    return { status, headers, body: this.#received.toString() };
  }

  /** The next unfragmented frame from the server with less than 126 bytes; undefined at the end. */
  async frame(): Promise<{ opcode: number; payload: Buffer } | undefined> {
    while (this.#received.length < 2 || this.#received.length < 2 + this.#length()) {
      if (!await this.#more()) return undefined;
    }
    const opcode = this.#received.readUInt8(0) & 0x0f;
    const end = 2 + this.#length();
    const payload = this.#received.subarray(2, end);
    this.#received = this.#received.subarray(end);
    return { opcode, payload };
  }

  #length(): number {
    return this.#received.readUInt8(1) & 0x7f;
  }

  async #more(): Promise<boolean> {
    const chunk = new Uint8Array(16_384);
    const count = await this.connection.read(chunk).catch((error: unknown) => {
      // A server that refuses need not read all of a huge request.
      if (error instanceof Deno.errors.ConnectionReset) return null;
      throw error;
    });
    if (count === null) return false;
    this.#received = Buffer.concat([this.#received, chunk.subarray(0, count)]);
    return true;
  }

  [Symbol.dispose](): void {
    this.connection.close();
  }
}

/** The answer to one handshake; the connection is closed afterwards. */
export async function knock(
  port: number,
  target: string,
  headers: Record<string, string> = {},
): Promise<Answer> {
  using socket = await RawSocket.open(port, target, headers);
  return await socket.answer();
}
