/**
 * Stands between a client and a Postgres that comes and goes. The client keeps its connection: while
 * the server is away each statement fails with the error that a server sends when it shuts down, and
 * the next one after its return is served.
 *
 * For postgres.js, whose process ends when a reserved connection is lost between two statements of a
 * transaction (https://github.com/porsager/postgres/issues/1208). Hosted Supabase has a pooler and
 * PostgREST in this place, which answer with errors and reconnect by themselves.
 */
import {
  commandComplete,
  errorResponse,
  queryText,
  readyForQuery,
  transactionStatus,
  type WireMessage,
  wireMessages,
  writeAll,
} from "./wire-protocol.ts";

export interface ReconnectingProxy {
  /** The connection string, with the proxy's port for the server's. */
  url: string;
  /** Cuts every connection. */
  close(): Promise<void>;
}

/** @param databaseUrl a server on 127.0.0.1, without TLS and passwords */
export function startReconnectingProxy(databaseUrl: string): ReconnectingProxy {
  const server = { hostname: "127.0.0.1", port: Number(new URL(databaseUrl).port) };
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const sessions = new Map<Session, Promise<void>>();
  const accepting = (async () => {
    for await (const client of listener) {
      // Small messages in both directions: held back, each would cost 40 ms.
      client.setNoDelay();
      const session = new Session(client, server);
      sessions.set(session, session.run().finally(() => sessions.delete(session)));
    }
  })();
  const url = new URL(databaseUrl);
  url.port = String(listener.addr.port);
  return {
    url: url.href,
    async close() {
      listener.close();
      await accepting;
      for (const session of sessions.keys()) session.close();
      await Promise.all(sessions.values());
    },
  };
}

const SHUT_DOWN = errorResponse("ERROR", "57P01", "terminating connection: the server is away");
const NOT_UP = errorResponse("FATAL", "57P03", "the server is away");

class Session {
  #startup: WireMessage | undefined;
  #upstream: Deno.Conn | null = null;
  #reading: Promise<void> = Promise.resolve();
  /** As of the last ReadyForQuery. */
  #status = "I";
  /** How many of them the client still waits for. */
  #awaited = 0;
  /** Parts of an extended query were sent, and no Sync yet. */
  #unsynced = false;
  /** The rest of an extended query that was answered with an error. */
  #skipping = false;
  /** Messages to the client, in order. */
  #sent: Promise<void> = Promise.resolve();

  constructor(
    private readonly client: Deno.Conn,
    private readonly server: { hostname: string; port: number },
  ) {}

  async run(): Promise<void> {
    for await (const message of wireMessages(this.client, { withStartup: true })) {
      if (message.type === "X") break;
      this.#startup ??= message;
      const between = this.#status === "I" && !this.#skipping;
      if (this.#upstream === null && between) await this.#connect(message);
      if (message.type === "") {
        if (this.#upstream === null) {
          this.#send(NOT_UP);
          break;
        }
      } else if (this.#upstream === null) this.#answerAlone(message);
      else await this.#forward(this.#upstream, message);
    }
    await this.#sent;
    this.close();
    await this.#reading;
  }

  close(): void {
    close(this.client);
    if (this.#upstream) close(this.#upstream);
  }

  /** The first time the client hears the server's greeting; later it has had it. */
  async #connect(first: WireMessage): Promise<void> {
    if (this.#startup === undefined) return;
    const upstream = await Deno.connect(this.server).catch(() => null);
    if (upstream === null) return;
    upstream.setNoDelay();
    const backend = wireMessages(upstream, { withStartup: false });
    await writeAll(upstream, this.#startup.bytes).catch(() => {/* the greeting will not come */});
    for (let next = await backend.next();; next = await backend.next()) {
      // It is still starting up, or is going down already.
      if (next.done || next.value.type === "E") return upstream.close();
      if (first.type === "") this.#send(next.value.bytes);
      if (next.value.type === "Z") break;
    }
    this.#upstream = upstream;
    this.#reading = this.#read(upstream, backend);
  }

  async #read(upstream: Deno.Conn, backend: AsyncGenerator<WireMessage>): Promise<void> {
    for await (const message of backend) {
      if (message.type === "Z") {
        this.#awaited--;
        this.#status = transactionStatus(message);
      }
      // A server that goes down says so on every connection; those that wait get an error below.
      const farewell = message.type === "E" && /\0C57P0\d\0/.test(text(message));
      if (!farewell) this.#send(message.bytes);
    }
    if (this.#upstream === upstream) this.#lose();
    close(upstream);
  }

  async #forward(upstream: Deno.Conn, message: WireMessage): Promise<void> {
    if (message.type === "Q" || message.type === "S") this.#awaited++;
    this.#unsynced = message.type !== "Q" && message.type !== "S";
    await writeAll(upstream, message.bytes).catch(() => {/* the reader sees that it is gone */});
  }

  /** Fails what the client waits for, and a transaction as a whole. */
  #lose(): void {
    this.#upstream = null;
    if (this.#status !== "I") this.#status = "E";
    for (; this.#awaited > 0; this.#awaited--) this.#send(SHUT_DOWN, readyForQuery(this.#status));
    if (this.#unsynced) this.#send(SHUT_DOWN);
    this.#skipping = this.#unsynced;
    this.#unsynced = false;
  }

  #answerAlone(message: WireMessage): void {
    if (message.type === "S") {
      this.#skipping = false;
      this.#send(readyForQuery(this.#status));
    } else if (message.type !== "Q") {
      if (!this.#skipping) this.#send(SHUT_DOWN);
      this.#skipping = true;
    } else if (this.#status === "E" && /^\s*(rollback|commit)\b/i.test(queryText(message))) {
      this.#status = "I";
      this.#send(commandComplete("ROLLBACK"), readyForQuery("I"));
    } else this.#send(SHUT_DOWN, readyForQuery(this.#status));
  }

  #send(...messages: Uint8Array[]): void {
    for (const bytes of messages) {
      this.#sent = this.#sent.then(() => writeAll(this.client, bytes)).catch(() => {
        // The client has left; its own side of the connection ends the session.
      });
    }
  }
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch (error) {
    // Closed already.
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

function text({ bytes }: WireMessage): string {
  return new TextDecoder().decode(bytes);
}
