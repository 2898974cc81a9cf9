/** The first half: the machine comes to exist at Fly.io. */
import { CreateFailed, createMachineOnce } from "../fly/create-once.ts";
import type { FlyMachine } from "../fly/machines.ts";
import { awaitCreateSlot, takeCreateSlot, withinTime } from "./await-create-slot.ts";
import type { Progress, ProvisionContext, ProvisionInput } from "./provision-machine.ts";

/** Keeps `progress.mayExist` true to what Fly.io may hold. Throws {@link AppError}. */
export async function create(
  context: ProvisionContext,
  input: ProvisionInput,
  progress: Progress,
): Promise<FlyMachine> {
  const { runtime, fly, log, measurements, workDeadline } = context;
  const { app, body, loggableBody, identity, regions } = input;
  return await measurements.time("create", async () => {
    try {
      progress.mayExist = true;
      const machine = await createMachineOnce({
        runtime,
        fly,
        app,
        body,
        identity,
        regions,
        deadline: workDeadline,
        awaitTurn: (retryAfterMs) => awaitTurnAfterRefusal(context, input, retryAfterMs),
        assertWanted: async () => void await takeCreateSlot(context, input.row),
        observer: {
          calling(region, attempt) {
            measurements.createAttempts = attempt;
            measurements.region = region;
            if (attempt === 1) {
              log.callingFly(region, app, body.name, body.config.image, {
                ...loggableBody,
                region,
              });
            }
          },
          succeeded({ status, statusText, flyRequestId, durationMs }) {
            measurements.flyRequestIds.push(flyRequestId);
            log.flyResponse(status, statusText, { flyRequestId, durationMs });
          },
          failed(error, next) {
            measurements.failedCall("create", error, next);
            const { status, statusText, flyRequestId, attempt } = error;
            if (next) {
              log.retrying(`Fly.io create failed, ${next}: ${error.message}`, {
                attempt,
                flyRequestId,
              });
            } else if (status !== undefined) log.flyResponse(status, statusText, { flyRequestId });
          },
        },
      });
      measurements.region = machine.region;
      log.flyMachineCreated(machine.id, machine.region);
      return machine;
    } catch (error) {
      if (error instanceof CreateFailed) {
        progress.mayExist = error.mayExist;
        throw error.error;
      }
      throw error;
    }
  });
}

/** Fly.io refused a create for going too fast: this row queues again, in front of all others. */
async function awaitTurnAfterRefusal(
  context: ProvisionContext,
  { row, rate }: ProvisionInput,
  retryAfterMs: number,
): Promise<void> {
  const { machines, workDeadline } = context;
  const slot = await withinTime(
    workDeadline,
    machines.delayCreates(row.id, retryAfterMs, rate, workDeadline),
  );
  await context.measurements.time("slot", () => awaitCreateSlot(context, row, slot.wait_ms));
}
