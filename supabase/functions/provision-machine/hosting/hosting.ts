/** Where machines live at Fly.io: in an app each, or all in one. Nothing else knows which it is. */
import type { CloudMachine, LiveMachine } from "../database/rows.ts";
import type { Ownership } from "../database/ownership.ts";
import type { FlyClient } from "../fly/client.ts";
import type { FlyError } from "../fly/errors.ts";
import type { FlyMachine } from "../fly/machines.ts";
import type { Measurements } from "../logging/measurements.ts";
import type { RequestLog } from "../logging/request-log.ts";
import type { Runtime } from "../runtime.ts";
import type { Deadline } from "../time.ts";
import { organizationOf } from "./whose-app.ts";

/** What a call to Fly.io needs. */
export interface FlyContext {
  runtime: Pick<Runtime, "clock" | "random">;
  fly: FlyClient;
  deadline: Deadline;
}

/** What a step of provisioning needs besides. */
export interface PrepareContext extends FlyContext {
  /**
   * Fly.io refused a POST for going too fast and asked to wait so many milliseconds: resolves when it
   * is the row's turn again, which comes later for everybody. Throws {@link AppError}.
   */
  awaitTurn(retryAfterMs: number): Promise<void>;
  log: RequestLog;
  measurements: Measurements;
}

/** The row whose machine is to be made. */
export interface HostedRow {
  id: string;
  machine_id: string;
  fly_app_name: string;
}

/** The machine of a row, as far as it is known. */
export interface MachineOfRow {
  app: string;
  name: string;
  /** The organisation of an app that the machine has of its own; needed to destroy or adopt it. */
  organization: string | null;
  /** Null when it never became known: then the machine is looked up by its name. */
  flyMachineId: string | null;
  /** As Fly.io answered in this very request, so that its name need not be checked again. */
  seen?: FlyMachine | undefined;
}

/** Something of ours at Fly.io that reconcile compares with the rows. */
export interface Found {
  /** What a sighting is recorded under: an id that Fly.io never gives twice. */
  key: string;
  /** The machine's name, which proves that it is ours. */
  name: string;
  app: string;
  /** What its creates are paced with, as in its row. */
  createBucket: string;
  /** Null for an app without a machine. */
  flyMachineId: string | null;
  state: string;
  /** Null when Fly.io does not say. */
  createdAt: string | null;
}

export interface FoundList {
  found: Found[];
  /** False when the list proves nothing about what it lacks. */
  complete: boolean;
}

export interface HealthResult {
  name: string;
  status: "pass" | "warn" | "fail";
  output?: string;
}

export interface Hosting {
  /** What the claim needs. */
  readonly claim: {
    /** What creates are paced with: the shared apps, or the organisation. */
    buckets: string[];
    /** Whether the app gets the machine's name. */
    ownApp: boolean;
    namePrefix: string;
  };
  /**
   * Where clients connect: `{app}` and `{machineId}` are filled in when the row is written,
   * `{flyMachineId}` by a trigger when Fly.io's id is.
   */
  readonly addressTemplate: string;
  /** What a caller should know of a new address; null when it can be used at once. */
  readonly addressNote: string | null;

  /**
   * Makes sure that the row's app exists. `foreign`: its name belongs to a stranger. Throws
   * {@link AppError}.
   */
  prepare(context: PrepareContext, row: HostedRow): Promise<"ready" | "foreign">;
  /** Gives the app its addresses, beside the create. Throws {@link AppError}. */
  makeReachable(context: PrepareContext, row: HostedRow): Promise<void>;
  /** Whether a failed create only says that the new app is not known everywhere yet. */
  isNotReadyYet(failure: FlyError): boolean;

  /** Lists what is ours at Fly.io, a list per app or organisation. Throws {@link FlyError}. */
  list(context: FlyContext, tag: string): Promise<FoundList>;
  /** The second look at what a list showed: whether it is still there, and ours. */
  confirm(context: FlyContext, found: Found): Promise<boolean>;
  destroyFound(context: FlyContext, found: Found): Promise<void>;
  /** A page of the running and stopped rows that {@link list} covers, from after the row `after`. */
  listLive(
    ownership: Ownership,
    page: { after: string | null; limit: number },
    deadline: Deadline,
  ): Promise<LiveMachine[]>;

  /** What is wrong with the organisation or the apps. Never throws. */
  checkHealth(context: FlyContext): Promise<HealthResult[]>;
}

/** The machine of a row; null when it never got an app. */
export function machineOfRow(row: CloudMachine & { fly_app_name: string }): MachineOfRow;
export function machineOfRow(row: CloudMachine): MachineOfRow | null;
export function machineOfRow(row: CloudMachine): MachineOfRow | null {
  const { fly_app_name: app, machine_id: name, fly_machine_id: flyMachineId } = row;
  return app === null ? null : { app, name, organization: organizationOf(row), flyMachineId };
}
