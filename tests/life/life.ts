/**
 * A life: one user's machine, and everything that happens to it. Several lives share a world: one
 * Fly.io, one database, one reconcile. All of it is plain JSON that can be replayed.
 */
import type { ScheduledFault } from "../model/draw-faults.ts";
import type { HOSTINGS } from "../model/schedule.ts";

/** What an owner can ask of a machine that is there. */
export type Change = "start" | "stop" | "suspend";

export type Happening =
  /** The owner, or a service for them, calls the function. */
  | { kind: "provision"; key: number | null; async: boolean; byService: boolean }
  | { kind: "ask"; what: Change | "connect"; byService: boolean }
  | { kind: "destroy"; byService: boolean }
  /** The machine's process ends of its own accord, so often, each time after being up so long. */
  | { kind: "exit"; exitCode: number; oomKilled: boolean; times: number; uptimeMs: number }
  /** Its host gives it up: the state `failed`. */
  | { kind: "fail" }
  /** Someone with a token works at Fly.io behind our back. */
  | { kind: "operator"; does: Change | "restart" | "destroy" | "delete-app" }
  /** Fly Proxy, if the machine's config lets it. */
  | { kind: "proxy"; does: "sleep" | "wake" }
  /** The machine's host does not respond for a while. */
  | { kind: "host"; destroys: "hangs" | "503" | "destroying"; forMs: number }
  /** The machine's host has no room to start it for a while. */
  | { kind: "no-room"; forMs: number }
  /** What becomes of the machine at its next start. */
  | { kind: "next-start"; fails: "failed" | "stopped"; afterMs: number }
  /** Root in the machine rewrites its metadata. */
  | { kind: "tamper" }
  /** For a while lists, or lists and all calls about it, miss the machine, each with this likelihood. */
  | { kind: "hide"; from: "lists" | "everything"; chance: number; forMs: number }
  /** The next calls about this machine to Fly.io, or of this user's requests to the database. */
  | { kind: "faults"; upstream: "fly" | "database"; faults: ScheduledFault[] }
  /** The account is deleted. */
  | { kind: "delete-user" };

/** Something that happens to one life. */
export type LifeEvent = Happening & {
  /** Milliseconds since the world began. */
  atMs: number;
};

export interface Life {
  /** Its number in the run, from 0. */
  number: number;
  region: string;
  events: LifeEvent[];
}

/** What happens to all lives at once. */
export type Condition =
  /** Nothing at Fly.io works. */
  | { kind: "fly-down"; how: "503" | "401" | "reset" | "hang" }
  | { kind: "database-down" }
  /** Machines of the region are missing from lists. */
  | { kind: "silent-region"; region: string }
  /** No machine can be created or started in the region. */
  | { kind: "full-region"; region: string }
  /** Someone deletes the app that machines share, for good. */
  | { kind: "app-deleted" }
  /** Faults of reconcile's own calls that are about no machine in particular: lists, and the database. */
  | { kind: "reconcile-faults"; upstream: "fly" | "database"; faults: ScheduledFault[] };

export type Weather = Condition & { atMs: number; forMs: number };

export interface WorldSettings {
  hosting: typeof HOSTINGS[number];
  autostop: "off" | "stop" | "suspend";
  /** How far reads of Fly.io are behind. */
  listDelayMs: number;
  getDelayMs: number;
  /** How long each call is on its way. */
  latencyMs: number;
  /** The ways in which Fly.io's sources differ. */
  exitEventUnder: "exit_event" | "MonitorEvent" | "both";
  startOfStarted: "ok" | "409";
  startRefusalStatus: 400 | 409 | 412;
  waitForUnreachable: "until-timeout" | "at-once" | "409-at-once";
  suspendFails: number;
  pageMax: number;
  getAfterDestroyMs: number;
}

/** Lives that share a world. */
export interface Batch {
  settings: WorldSettings;
  weather: Weather[];
  lives: Life[];
  /** Of machine names, jitter and the simulator's draws. */
  seed: number;
}
