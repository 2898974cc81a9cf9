/** The options, requests and results of the client. */
import type { ProvisionMachineError } from "./errors.ts";
import type { ListedMachine } from "./rows.ts";
import type { Wait } from "./wait.ts";

export type CpuPriority = "low" | "normal" | "high";

/** What a caller may choose; each field has a default on the server. */
export interface ProvisionRequest {
  /** A region code of Fly.io, such as `iad`. */
  region?: string;
  cpuPriority?: CpuPriority;
}

/** A machine, as in the function's answer. */
export interface Machine {
  machineId: string;
  /** Null only while `provisioning`, where the address contains Fly.io's id. */
  websocketUrl: string | null;
  /**
   * `provisioning` only when `respondAsync` asked for an answer before the work is done; `stopped` when
   * it was, or when an earlier call's machine has stopped since.
   */
  status: "running" | "provisioning" | "stopped";
  region: string;
  flyMachineId: string | null;
  message: string;
  /** Quote this to the operators when you report a problem. */
  requestId: string;
  /** True when an earlier call with the same key created this machine. */
  replayed: boolean;
}

/** Where to connect to a machine, and the token that permits it. */
export interface Connection {
  machineId: string;
  /** A stopped machine may start at the next connection, or needs {@link ProvisionMachineClient.start}. */
  status: "running" | "stopped";
  websocketUrl: string;
  /** Opens this one machine until it expires. Do not log it. */
  token: string;
  /** `websocketUrl` with the token in it, for `new WebSocket(url)`. Do not log it either. */
  url: string;
  /** ISO 8601; a minute after the call. A connection may outlive it. */
  expiresAt: string;
  requestId: string;
}

/** A channel of supabase-js, as far as it is used here. */
export interface RealtimeChannelLike {
  on(
    type: "postgres_changes",
    filter: { event: "*"; schema: string; table: string },
    callback: () => void,
  ): RealtimeChannelLike;
  subscribe(callback: (status: string) => void): unknown;
  unsubscribe(): PromiseLike<unknown>;
}

/** What is used of supabase-js for Realtime. */
export interface RealtimeSource {
  channel(name: string): RealtimeChannelLike;
}

/** What the client uses of supabase-js: any client made by its `createClient` fits. */
export interface SupabaseSource extends RealtimeSource {
  auth: {
    getSession(): PromiseLike<{ data: { session: { access_token: string } | null } }>;
  };
}

export interface ClientOptions {
  /** `https://<project>.supabase.co` */
  supabaseUrl: string;
  /** Sent as `apikey`, as supabase-js does. */
  publishableKey: string;
  /** Your supabase-js client: for the user's access token, and for Realtime in `watch`. */
  supabase?: SupabaseSource;
  /**
   * The signed-in user's access token, fetched before every attempt, so that it has not expired.
   * Default: that of the session of `supabase`.
   */
  getAccessToken?: () => PromiseLike<string | null | undefined>;
  /** Default `provision-machine`. */
  functionName?: string;
  fetch?: typeof fetch;
  /** Default: the global one, which Node.js has since version 22. */
  WebSocket?: WebSocketConstructor;
  /** How often a call is sent at most when its answers get lost. Default 5. */
  maxAttempts?: number;
  /** After how long an attempt counts as lost. Default 160,000: the platform gives up after 150 s. */
  timeoutMs?: number;
  /** What happens between two attempts. Default: a pause that ends early when the browser comes online. */
  wait?: Wait;
}

export interface CallOptions {
  signal?: AbortSignal | undefined;
  /** Called before an attempt is repeated, with the error that made it necessary. */
  onRetry?: (retry: { attempt: number; delayMs: number; error: ProvisionMachineError }) => void;
}

export interface ProvisionOptions extends CallOptions {
  /** Default: a new one. Pass the key of an earlier call to learn its outcome. */
  idempotencyKey?: string;
  /** Answer at once with `provisioning`; the row in `cloud_machines` then shows the progress. */
  respondAsync?: boolean;
}

export interface ListOptions extends CallOptions {
  /** Of the newest machines, how many. Default 100. */
  limit?: number | undefined;
  /** Whether to add what happened to each machine. Default false. */
  events?: boolean | undefined;
}

/** The part of a WebSocket that is used; the browser's, Node.js's and that of `ws` fit. */
export interface WebSocketLike {
  send(data: string): void;
  close(): void;
  addEventListener(type: "open" | "error", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(type: "close", listener: (event: { code: number }) => void): void;
}
export type WebSocketConstructor = new (url: string) => WebSocketLike;

/** `connecting` also between two sockets. */
export type ConnectionState = "connecting" | "open" | "closed";

export interface ConnectOptions {
  /** Called with each text of the machine, in order. */
  onMessage?: (text: string) => void;
  /** @param error why the last attempt failed, or why it is closed; null: there is no reason */
  onState?: (state: ConnectionState, error: ProvisionMachineError | null) => void;
  /**
   * The machine no longer knows this connection, for instance because it was restarted: texts that it
   * sent since the last one you got are lost, and what it had not acknowledged is sent again.
   */
  onLost?: () => void;
  /**
   * For images that do not speak the protocol of examples/machine: called with each new socket, for
   * you to listen and send. Nothing is acknowledged, `onMessage` and `send` are not used.
   */
  onSocket?: (socket: WebSocketLike) => void;
  /** Closes it. */
  signal?: AbortSignal | undefined;
}

export interface MachineConnection {
  /**
   * Resolves once the machine has acknowledged the text, and sends it again until then; rejects when
   * the connection is closed before.
   */
  send(text: string): Promise<void>;
  close(): void;
}

/** `reading`: nothing is known yet, or not since the browser was offline. */
export type WatchState = "reading" | "realtime" | "polling" | "offline" | "failing";

export interface WatchOptions {
  /** Called after every read, whether anything has changed or not. */
  onMachines: (machines: ListedMachine[]) => void;
  /** @param readAt when the rows were last read, in milliseconds since the epoch; null: never */
  onState?: (state: WatchState, readAt: number | null) => void;
  /** When to read next, if not after the usual time; called after every read. */
  pollMs?: (machines: ListedMachine[]) => number | null;
  /** Of the newest machines, how many. Default 100. */
  limit?: number | undefined;
  /** Whether to add what happened to each machine. Default false. */
  events?: boolean | undefined;
  /** Ends it. */
  signal?: AbortSignal | undefined;
}

export interface Watch {
  /** Reads the list soon, for instance because you have just changed something. */
  refresh(delayMs?: number): void;
  close(): void;
}

/** Every call rejects with a {@link ProvisionMachineError}, or with the reason of its `signal`. */
export interface ProvisionMachineClient {
  /** Provisions a machine, or finds the one of an earlier call with the same key. */
  provision(request?: ProvisionRequest, options?: ProvisionOptions): Promise<Machine>;
  /** Opens a WebSocket to the machine that survives lost connections. */
  connect(machineId: string, options?: ConnectOptions): MachineConnection;
  /**
   * Where to connect, valid for a minute, for a WebSocket of your own. A machine that neither runs nor
   * is stopped is `machine_state_conflict`, with `retryAfterSeconds` while it may still start.
   */
  requestConnection(machineId: string, options?: CallOptions): Promise<Connection>;
  /** Starts a stopped machine; doing so twice is no error. */
  start(machineId: string, options?: CallOptions): Promise<Machine>;
  /** Stops a machine; doing so twice is no error. */
  stop(machineId: string, options?: CallOptions): Promise<Machine>;
  /** Suspends a machine, or stops one that cannot be. */
  suspend(machineId: string, options?: CallOptions): Promise<Machine>;
  /** Destroys a machine; doing so twice is no error. */
  destroy(machineId: string, options?: CallOptions): Promise<{ requestId: string }>;
  /** The user's machines, newest first. */
  list(options?: ListOptions): Promise<ListedMachine[]>;
  /** Keeps that list current: over Realtime where the project has it, by polling elsewhere. */
  watch(options: WatchOptions): Watch;
}
