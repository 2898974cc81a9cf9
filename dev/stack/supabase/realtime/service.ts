/**
 * `/realtime/v1/websocket`: changes of rows, as far as supabase-js needs it to follow them under row
 * level security. Broadcast, presence and private channels are not played, and refused.
 */
import type { JWK, JWTPayload } from "jose";
import type { StackDatabase } from "../database.ts";
import type { StackKeys } from "../keys.ts";
import { verifyToken } from "../tokens.ts";
import { Changes, type Column } from "./changes.ts";
import {
  type Change,
  concerns,
  isKnownFilter,
  joinSchema,
  type Message,
  parseMessage,
  type Subscription,
} from "./messages.ts";

interface Channel {
  socket: WebSocket;
  topic: string;
  joinRef: string | null;
  claims: JWTPayload;
  subscriptions: (Subscription & { id: number })[];
}

/** The Realtime of one stack. */
export class RealtimeService {
  readonly #keys: StackKeys;
  readonly #signingKeys: JWK[];
  readonly #changes: Changes;
  readonly #channels = new Set<Channel>();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  #lastId = 0;

  constructor(database: StackDatabase, keys: StackKeys, signingKeys: JWK[]) {
    this.#keys = keys;
    this.#signingKeys = signingKeys;
    this.#changes = new Changes(
      database,
      (change, columns) => this.#tell(change, columns),
      // Whoever missed a change must know it: a new connection reads everything again.
      () => this.#channels.forEach(({ socket }) => socket.close(1011, "a change was lost")),
    );
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => this.#accept(request),
    );
  }

  /** Where it listens on 127.0.0.1; the gateway passes connections on to it. */
  get port(): number {
    return this.#server.addr.port;
  }

  async close(): Promise<void> {
    for (const { socket } of this.#channels) socket.close();
    this.#channels.clear();
    await this.#changes.close();
    await this.#server.shutdown();
  }

  async #accept(request: Request): Promise<Response> {
    const query = new URL(request.url).searchParams;
    const claims = await this.#claimsOf(query.get("apikey") ?? "");
    if (claims === null) return new Response("Invalid API key", { status: 401 });
    if (query.get("vsn") !== "2.0.0") {
      return new Response("The local stack speaks version 2.0.0 alone", { status: 400 });
    }
    const { socket, response } = Deno.upgradeWebSocket(request);
    // One message after the other: an answer must not overtake that to the one before.
    let turn = Promise.resolve();
    socket.onmessage = ({ data }) => {
      turn = turn.then(() => this.#hear(socket, claims, data));
    };
    socket.onclose = () => this.#leave((channel) => channel.socket === socket);
    // `close` follows.
    socket.onerror = () => {};
    return response;
  }

  async #hear(socket: WebSocket, keyClaims: JWTPayload, data: unknown): Promise<void> {
    const message = parseMessage(data);
    // Such as a broadcast, which is binary.
    if (message === undefined) return socket.close(1003, "not played by the local stack");
    const [joinRef, ref, topic, event, payload] = message;
    const reply = (status: string, response: Record<string, unknown> = {}) =>
      send(socket, [joinRef, ref, topic, "phx_reply", { status, response }]);
    const own = [...this.#channels].find((channel) =>
      channel.socket === socket && channel.topic === topic
    );
    switch (event) {
      case "heartbeat":
        return reply("ok");
      case "phx_join": {
        const channel = await this.#join(message, socket, keyClaims);
        if (typeof channel === "string") return reply("error", { reason: channel });
        const { subscriptions } = channel;
        reply("ok", { postgres_changes: subscriptions });
        return send(socket, [joinRef, null, topic, "system", {
          channel: topic.replace(/^realtime:/, ""),
          extension: "postgres_changes",
          message: "Subscribed to PostgreSQL",
          status: "ok",
        }]);
      }
      case "access_token": {
        const claims = await this.#claimsOf(String(payload["access_token"]));
        if (own !== undefined && claims !== null) own.claims = claims;
        else if (own !== undefined) this.#end(own, "The token is not valid");
        return;
      }
      case "phx_leave":
        this.#leave((channel) => channel === own);
        reply("ok");
        return send(socket, [joinRef, ref, topic, "phx_close", {}]);
      default:
        return reply("error", { reason: `${event} is not played by the local stack` });
    }
  }

  /** @returns why it is refused, if it is */
  async #join(
    [joinRef, , topic, , payload]: Message,
    socket: WebSocket,
    keyClaims: JWTPayload,
  ): Promise<Channel | string> {
    const join = joinSchema.safeParse(payload).data;
    if (join === undefined) return "the payload of phx_join is malformed";
    const { config, access_token: token } = join;
    if (config.private) return "private channels are not played by the local stack";
    const unknown = config.postgres_changes.find(({ filter }) =>
      filter !== undefined && !isKnownFilter(filter)
    );
    if (unknown) return `the filter ${unknown.filter} is not played by the local stack`;
    const claims = token ? await this.#claimsOf(token) : keyClaims;
    if (claims === null) return "The token is not valid";
    await this.#changes.start();
    const subscriptions = config.postgres_changes.map((subscription) => ({
      ...subscription,
      id: ++this.#lastId,
    }));
    const channel = { socket, topic, joinRef, claims, subscriptions };
    this.#channels.add(channel);
    return channel;
  }

  /** The claims of a key or token; null if there is nothing behind it. */
  async #claimsOf(credential: string): Promise<JWTPayload | null> {
    if (credential === this.#keys.publishableKey) return { role: "anon" };
    if (credential === this.#keys.secretKey) return { role: "service_role" };
    return await verifyToken(credential, this.#keys.jwtSecret, this.#signingKeys)
      .then(({ claims }) => claims, () => null);
  }

  async #tell(change: Change, columns: Column[]): Promise<void> {
    const data = {
      schema: change.schema,
      table: change.table,
      type: change.type,
      commit_timestamp: change.commit_timestamp,
      columns,
      record: change.record ?? {},
      ...(change.type === "INSERT" ? {} : { old_record: this.#changes.keyOf(change) }),
      errors: null,
    };
    for (const channel of [...this.#channels]) {
      const ids = channel.subscriptions.filter((each) => concerns(change, each))
        .map(({ id }) => id);
      if (ids.length === 0) continue;
      if ((channel.claims.exp ?? Infinity) * 1_000 < Date.now()) {
        this.#end(channel, "The token has expired");
      } else if (await this.#changes.isVisible(change, channel.claims)) {
        const { socket, topic, joinRef } = channel;
        send(socket, [joinRef, null, topic, "postgres_changes", { ids, data }]);
      }
    }
  }

  /** Says why, and closes the channel. */
  #end(channel: Channel, message: string): void {
    const { socket, topic, joinRef } = channel;
    const system = { channel: topic, extension: "system", status: "error", message };
    send(socket, [joinRef, null, topic, "system", system]);
    send(socket, [joinRef, null, topic, "phx_close", {}]);
    this.#channels.delete(channel);
  }

  #leave(leaves: (channel: Channel) => boolean): void {
    for (const channel of this.#channels) if (leaves(channel)) this.#channels.delete(channel);
  }
}

function send(socket: WebSocket, message: Message): void {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}
