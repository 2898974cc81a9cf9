/** The second half: the machine is seen started, and the row says so. */
import type { CloudMachine } from "../database/rows.ts";
import type { FlyMachine } from "../fly/machines.ts";
import { waitUntilStarted } from "../fly/wait-until-started.ts";
import { destroyedMeanwhile } from "./await-create-slot.ts";
import { originOf, type ProvisionContext } from "./provision-machine.ts";

/** Writes Fly's id to the row beside the wait, and stops waiting when nobody wants the machine. */
export async function start(
  context: ProvisionContext,
  row: CloudMachine,
  machine: FlyMachine,
  app: string,
): Promise<CloudMachine> {
  const { runtime, fly, machines, log, measurements, workDeadline, closeDeadline } = context;
  const unwanted = new AbortController();
  const recording = machines.recordFlyMachine(row.id, machine, originOf(context), workDeadline)
    .then(
      (result) => {
        if (result.outcome !== "applied") unwanted.abort(destroyedMeanwhile());
      },
      (error) => {
        // Not fatal: the name leads to the machine as well, and the id is written again at the end.
        log.retrying("The Fly machine id could not be written yet", {
          reason: String(error.cause ?? error),
        });
      },
    );
  try {
    await measurements.time("wait", () =>
      waitUntilStarted({
        runtime,
        fly,
        app,
        machine,
        deadline: workDeadline,
        signal: unwanted.signal,
        onRetry(error, waitMs) {
          measurements.failedCall("wait", error, `trying again in ${waitMs} ms`);
          log.retrying(`Fly.io wait failed, trying again in ${waitMs} ms: ${error.message}`, {
            flyRequestId: error.flyRequestId,
          });
        },
      }));
  } finally {
    await recording;
  }
  const closed = await measurements.time("finish", () =>
    machines.markRunning(
      row.id,
      { id: machine.id, region: machine.region, adopted: false },
      { ...originOf(context), detail: measurements.report() },
      closeDeadline,
    ));
  if (closed.outcome !== "applied") throw destroyedMeanwhile();
  return closed.machine;
}
