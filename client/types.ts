/** The options, requests and results of the client. */
import type { ProvisionMachineError } from "./errors.ts";

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

export interface ClientOptions {
  /** `https://<project>.supabase.co/functions/v1/provision-machine` */
  functionUrl: string;
  /** Sent as `apikey`, as supabase-js does. */
  publishableKey: string;
  /** The signed-in user's access token, fetched before every attempt, so that it has not expired. */
  getAccessToken: () => Promise<string | null | undefined>;
  fetch?: typeof fetch;
  /** How often a call is sent at most when its answers get lost. Default 5. */
  maxAttempts?: number;
  /** After how long an attempt counts as lost. Default 160,000: the platform gives up after 150 s. */
  timeoutMs?: number;
  /** What happens between two attempts. Default {@link waitUntilWorthTrying}. */
  wait?: (delayMs: number, signal: AbortSignal | undefined) => Promise<void>;
}

export interface CallOptions {
  signal?: AbortSignal;
  /** Called before an attempt is repeated, with the error that made it necessary. */
  onRetry?: (retry: { attempt: number; delayMs: number; error: ProvisionMachineError }) => void;
}

export interface ProvisionOptions extends CallOptions {
  /** Default: a new one. Pass the key of an earlier call to learn its outcome. */
  idempotencyKey?: string;
  /** Answer at once with `provisioning`; the row in `cloud_machines` then shows the progress. */
  respondAsync?: boolean;
}

export interface ProvisionMachineClient {
  /** Provisions a machine, or finds the one of an earlier call with the same key. @throws {ProvisionMachineError} */
  provision(request?: ProvisionRequest, options?: ProvisionOptions): Promise<Machine>;
  /**
   * Where to connect, valid for a minute; call it before each connection. A machine that neither runs nor
   * is stopped is `machine_state_conflict`, with `retryAfterSeconds` while it may still start.
   * @throws {ProvisionMachineError}
   */
  connect(machineId: string, options?: CallOptions): Promise<Connection>;
  /** Starts a stopped machine; doing so twice is no error. @throws {ProvisionMachineError} */
  start(machineId: string, options?: CallOptions): Promise<Machine>;
  /** Stops a machine; doing so twice is no error. @throws {ProvisionMachineError} */
  stop(machineId: string, options?: CallOptions): Promise<Machine>;
  /** Suspends a machine, or stops one that cannot be. @throws {ProvisionMachineError} */
  suspend(machineId: string, options?: CallOptions): Promise<Machine>;
  /** Destroys a machine; doing so twice is no error. @throws {ProvisionMachineError} */
  destroy(machineId: string, options?: CallOptions): Promise<{ requestId: string }>;
}
