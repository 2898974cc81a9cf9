/** Types of states, events, actions and records that all parts share. */
import type { MachineConfig } from "./machine-config.ts";

/** Every state of the page "Machine states and lifecycle" of Fly.io's documentation. */
export type MachineState =
  | "created"
  | "started"
  | "stopped"
  | "suspended"
  | "failed"
  | "creating"
  | "starting"
  | "stopping"
  | "restarting"
  | "suspending"
  | "destroying"
  | "updating"
  | "replacing"
  | "launch_failed"
  | "destroyed"
  | "replaced"
  | "migrated";

/** How a Machine's main process ended, in the form of `request.exit_event` of an event. */
export interface ExitEvent {
  requested_stop: boolean;
  restarting: boolean;
  guest_exit_code: number;
  guest_signal: number;
  guest_error: string;
  exit_code: number;
  signal: number;
  error: string;
  oom_killed: boolean;
  /** ISO 8601. */
  exited_at: string;
}

/** One entry of a Machine's `events`, newest first in every answer. */
export interface MachineEvent {
  id: string;
  type: "launch" | "start" | "stop" | "suspend" | "update" | "exit" | "destroy";
  status: string;
  source: "user" | "flyd";
  /** Milliseconds since the epoch. */
  timestamp: number;
  request?: { exit_event: ExitEvent; restart_count: number };
}

/** What others hold: no one but its holder may change the Machine. */
export interface Lease {
  readonly nonce: string;
  readonly owner: string;
  readonly description: string;
  /** Of the Machine, when the lease was taken. */
  readonly version: string;
  readonly expiresAtMs: number;
}

/** A Machine entering a state at a time; a time in the future is a scheduled transition. */
export interface Transition {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly state: MachineState;
  readonly event?: MachineEvent;
}

/** Who reads: each is behind by its own time. */
export type Reader = "get" | "list" | "organizationList";

/** How far each reader is behind for one Machine, in milliseconds. */
export type ReadDelays = Readonly<Record<Reader, number>>;

/** A Machine as a test sees it: also when it is destroyed, and with what will still happen to it. */
export interface MachineRecord {
  id: string;
  name: string;
  app: string;
  region: string;
  instanceId: string;
  state: MachineState;
  /** True until the Machine is `destroying` or `destroyed`: it may bill. */
  live: boolean;
  config: MachineConfig;
  createdAtMs: number;
  /** Every state so far, oldest first. */
  history: Transition[];
  /** What will happen unless a call interferes, oldest first. */
  scheduled: Transition[];
}

/** What a call to the API was about; `method` and `path` distinguish reading from writing. */
export const ACTIONS = [
  "create",
  "list",
  "get",
  "wait",
  "start",
  "stop",
  "delete",
  "metadata",
  "events",
  "app",
  "suspend",
  "restart",
  "update",
  "lease",
  "cordon",
  "uncordon",
  "addresses",
  "organization-machines",
  "placements",
  "token",
  "deploy-token",
  "regions",
  "unmodelled",
  "unknown",
] as const;

export type Action = typeof ACTIONS[number];

/** One call to the API as the simulator saw it. Holds no token. */
export interface FlyRequestRecord {
  /** 1 for the first call, then 2, 3, … */
  number: number;
  /** When the call arrived, in milliseconds since the epoch. */
  atMs: number;
  method: string;
  /** With the query string. */
  path: string;
  action: Action;
  app: string | null;
  machineId: string | null;
  machineName: string | null;
  /** What `fly-request-id` said, or would have said if the answer was lost. */
  requestId: string;
  /** The status sent; null while the call is under way and when no answer was sent. */
  status: number | null;
  /** True when the call changed something in the simulator, whatever its caller saw. */
  tookEffect: boolean;
  /** Kinds of the faults that this call met. */
  faults: string[];
  /** True when the caller left before the answer. */
  clientLeft: boolean;
  authorizationScheme: "Bearer" | "FlyV1" | "Bearer FlyV1" | "other" | "none";
  traceparent: string | null;
  userAgent: string | null;
  /** Milliseconds from arrival to answer; null while under way. */
  durationMs: number | null;
}
