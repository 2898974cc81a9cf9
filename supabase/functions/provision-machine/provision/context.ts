/** What the steps of one provisioning share. */
import type { Claims, CreateRate } from "../database/claims.ts";
import type { Machines } from "../database/machines.ts";
import type { ProvisioningMachine } from "../database/rows.ts";
import type { FlyClient } from "../fly/client.ts";
import type { Hosting } from "../hosting/hosting.ts";
import type { CreateMachineBody, FlyMachine } from "../fly/machines.ts";
import type { Measurements } from "../logging/measurements.ts";
import type { Redactor } from "../logging/redactor.ts";
import type { RequestLog } from "../logging/request-log.ts";
import type { Runtime } from "../runtime.ts";
import type { Deadline } from "../time.ts";

export interface ProvisionContext {
  runtime: Runtime;
  fly: FlyClient;
  hosting: Hosting;
  claims: Claims;
  machines: Machines;
  log: RequestLog;
  redactor: Redactor;
  measurements: Measurements;
  requestId: string;
  /** When the request came in, milliseconds since the epoch. */
  startedAt: number;
  /** Creating and waiting stop here … */
  workDeadline: Deadline;
  /** … so that closing the row and cleaning up have time until here. */
  closeDeadline: Deadline;
}

export interface ProvisionInput {
  row: ProvisioningMachine;
  /** The same for the row under another name. */
  inputFor(row: ProvisioningMachine): Promise<ProvisionInput>;
  /** Until the create may be sent. */
  slotWaitMs: number;
  rate: CreateRate;
  body: CreateMachineBody;
  /** The body as it may be logged. */
  loggableBody: CreateMachineBody;
  /** Fly.io has said that the only region to try has no room. */
  isFull?: boolean;
  /** The log has this row's create already, and no room for another. */
  isLogged?: boolean;
  /** Regions to try in turn when one has no capacity; the first is the one asked for. */
  regions: readonly [string, ...string[]];
}

/** How far a request got. */
export interface Progress {
  machine: FlyMachine | undefined;
  /** Fly.io may hold a machine of this row. */
  mayExist: boolean;
  /** Fly.io may hold an app that was made for this row. */
  appMayExist: boolean;
}
