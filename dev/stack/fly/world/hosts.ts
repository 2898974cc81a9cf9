/** The host that a Machine runs on: whether it answers, has room, and takes deployments. */
import { FlyRefusal } from "../api/errors.ts";

export interface Host {
  /** What the API says of it (fly-go, machine_types.go). */
  status: "ok" | "unknown" | "unreachable";
  /**
   * A DELETE while it is not `ok`: no answer, 503, or 200 and `destroying` until it is back
   * (superfly/flyctl#3840; community.fly.io, topic 21341).
   */
  destroys: "hangs" | "503" | "destroying";
  /** How it refuses to start a Machine; null while it has room. */
  noRoom: NoRoom | null;
  /** False refuses updates (superfly/flyctl#3732). */
  deploys: boolean;
}

export const HEALTHY_HOST: Host = {
  status: "ok",
  destroys: "destroying",
  noRoom: null,
  deploys: true,
};

const noRoom = (what: string) => () =>
  new FlyRefusal(409, `aborted: could not reserve resource for machine: ${what}`);

/** The 409s of a start that flyctl knows (internal/command/machine/start.go). */
export const NO_ROOM = {
  memory: noRoom("insufficient memory available to fulfill request on the current host"),
  cpus: noRoom("insufficient CPUs available to fulfill request on the current host"),
  ips: noRoom("insufficient IPs available"),
  governor: noRoom("governor policy blocked start"),
} as const;

export type NoRoom = keyof typeof NO_ROOM;

export const NO_ROOM_NAMES = Object.keys(NO_ROOM) as [NoRoom, ...NoRoom[]];

/** A call that the host itself would have to carry out. Status and text are ours. */
export const hostUnreachable = (): FlyRefusal =>
  new FlyRefusal(503, "unavailable: the machine's host is unreachable");

/** superfly/flyctl#3732. */
export const deploysDisabled = (): FlyRefusal =>
  new FlyRefusal(503, "unavailable: deploys to this host are temporarily disabled");
