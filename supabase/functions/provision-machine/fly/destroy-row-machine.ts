import type { Deadline } from "../deadline.ts";
import { type Runtime, sleep } from "../runtime.ts";
import { backoffMs } from "./backoff.ts";
import type { FlyClient } from "./client.ts";
import { findOwnMachine } from "./create-once.ts";
import { FlyError } from "./errors.ts";
import { destroyMachine } from "./machines.ts";

const MAX_ATTEMPTS = 3;

export interface DestroyRowMachineOptions {
  runtime: Pick<Runtime, "clock" | "random">;
  fly: FlyClient;
  app: string;
  /** The machine's name. */
  machineId: string;
  /** Metadata that only this row's machine carries. */
  identity: Record<string, string>;
  /** Null when it never became known: then the machine is looked up. */
  flyMachineId: string | null;
  deadline: Deadline;
}

/**
 * Destroys the machine of a row. Returns whether it is certain that none is left: a create whose
 * answer was lost may still land after a look-up that found nothing, so without an id there is no
 * certainty and somebody has to look again later. Throws {@link FlyError} when Fly.io could not
 * be made to do it.
 */
export async function destroyRowMachine(options: DestroyRowMachineOptions): Promise<boolean> {
  const { runtime, fly, app, machineId, identity, deadline } = options;
  for (let attempt = 1;; attempt++) {
    try {
      const id = options.flyMachineId ??
        (await findOwnMachine({ fly, app, body: { name: machineId }, identity, deadline }))?.id;
      if (id === undefined) return false;
      await destroyMachine(fly, app, id, { deadline });
      return true;
    } catch (error) {
      if (!(error instanceof FlyError)) throw error;
      error.attempt = attempt;
      const waitMs = backoffMs(runtime, attempt, error.retryAfterMs);
      const helps = error.ambiguous || error.code === "fly_rate_limited";
      if (!helps || attempt >= MAX_ATTEMPTS || waitMs >= deadline.remainingMs()) throw error;
      await sleep(runtime.clock, waitMs);
    }
  }
}
