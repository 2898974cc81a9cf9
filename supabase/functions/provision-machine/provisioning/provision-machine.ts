/**
 * The use case: from a claimed row to a machine that was seen started, or to a row in `error`
 * with no machine left behind. Whoever closes the row first decides the outcome; the answer always
 * says what the row says.
 */
import type { CloudMachines, Origin } from "../database/cloud-machines.ts";
import type { CloudMachine } from "../database/rows.ts";
import type { Deadline } from "../deadline.ts";
import type { FlyClient } from "../fly/client.ts";
import type { CreateMachineBody, FlyMachine } from "../fly/machines.ts";
import type { Redactor } from "../logging/redactor.ts";
import type { RequestLog } from "../logging/request-log.ts";
import type { Runtime } from "../runtime.ts";
import { awaitCreateSlot } from "./await-create-slot.ts";
import { create } from "./create.ts";
import { giveUp } from "./give-up.ts";
import type { Measurements } from "./measurements.ts";
import { start } from "./start.ts";

export interface ProvisionContext {
  runtime: Runtime;
  fly: FlyClient;
  machines: CloudMachines;
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
  row: CloudMachine;
  /** Until the create may be sent. */
  slotInMs: number;
  /** Fly.io's limit of machine creation per app. */
  rate: { perSecond: number; burst: number };
  app: string;
  body: CreateMachineBody;
  /** The body as it may be logged. */
  loggableBody: CreateMachineBody;
  identity: Record<string, string>;
  regions: string[];
}

/**
 * Returns the row once it is `running`. Throws {@link AppError} otherwise, after the row was
 * closed and what may be left at Fly.io was destroyed or left to reconcile.
 */
export async function provisionMachine(
  context: ProvisionContext,
  input: ProvisionInput,
): Promise<CloudMachine> {
  const progress: Progress = { machine: undefined, mayExist: false };
  try {
    if (input.slotInMs > 0) {
      await context.measurements.time(
        "slot",
        () => awaitCreateSlot(context, input.row, input.slotInMs),
      );
    }
    progress.machine = await create(context, input, progress);
    return await start(context, input.row, progress.machine, input.app);
  } catch (thrown) {
    return await giveUp(context, input, progress, thrown);
  }
}

/** How far a request got. */
export interface Progress {
  machine: FlyMachine | undefined;
  /** Fly.io may hold a machine of this row. */
  mayExist: boolean;
}

/** Who causes a transition of the row, for its event. */
export function originOf({ runtime, requestId, startedAt }: ProvisionContext): Origin {
  return { requestId, durationMs: runtime.clock.now() - startedAt };
}
