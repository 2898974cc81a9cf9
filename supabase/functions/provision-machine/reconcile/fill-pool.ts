/**
 * Keeps the warm pool at its size, from the creates that users leave over. An entry is written before
 * its machine is made; a later run finds the machine standing by on Fly.io's list, and then it can be
 * taken. Whatever goes wrong, the entry is discarded, and a later run makes another.
 */
import type { CompleteEnvironment } from "../config/environment.ts";
import type { NewPooledMachine, PooledMachine } from "../database/pool.ts";
import { AppError, toAppError } from "../errors.ts";
import { FlyError, toProvisioningError } from "../fly/errors.ts";
import { createMachine, type CreateMachineBody, type FlyMachine } from "../fly/machines.ts";
import { chooseHosting } from "../hosting/choose-hosting.ts";
import type { Hosting, PrepareContext } from "../hosting/hosting.ts";
import type { RequestContext } from "../http/context.ts";
import { randomNamePart } from "../provision/machine-config.ts";
import { pooledCreateBody, poolSizeOf } from "../provision/pool-config.ts";
import { backoffMs, sleep } from "../time.ts";
import type { ReconcileContext } from "./context.ts";

/** Fly.io's advice: what is not ready after ten minutes never will be. */
const MAKE_WITHIN_MS = 10 * 60_000;
const MAX_IN_FLIGHT = 10;
/** Making one takes a few seconds; one that the run's end cuts short would be made in vain. */
const NEEDED_MS = 8_000;
/** Users have the creates for now. */
const LONGEST_TURN_MS = 3_000;
/** Seen by several clients: a new app is known everywhere within seconds. */
const MAX_NOT_READY = 10;

interface Filling {
  request: RequestContext;
  context: ReconcileContext;
  environment: CompleteEnvironment;
  hosting: Hosting;
}

export async function fillPool(request: RequestContext, context: ReconcileContext): Promise<void> {
  const { environment } = request;
  if (!environment.complete) return;
  const { settings } = environment;
  if (settings.POOL_SIZE === 0 || settings.PROVISIONING_PAUSED !== undefined) return;
  const size = await poolSizeOf(settings, context.runtime);
  const hosting = chooseHosting(settings);
  const filling = { request, context, environment, hosting };
  const making = new Set<Promise<boolean>>();
  let going = true;
  while (going) {
    if (making.size >= MAX_IN_FLIGHT) going = await Promise.race(making);
    const entry = going ? await nextEntry(filling, size) : null;
    if (entry === null) break;
    const made = make(filling, entry);
    making.add(made);
    made.then((ok) => {
      making.delete(made);
      going &&= ok;
    });
  }
  await Promise.all(making);
}

/** Null when the pool is full, or users leave no create over. */
async function nextEntry(
  { context, environment: { settings }, hosting }: Filling,
  size: Pick<NewPooledMachine, "configHash" | "size" | "maxMachines">,
): Promise<PooledMachine | null> {
  const { pool, runtime, deadline } = context;
  const [createBucket] = hosting.claim.buckets;
  if (createBucket === undefined) return null;
  while (deadline.remainingMs() > NEEDED_MS) {
    const added = await pool.add({
      ...size,
      namePrefix: hosting.claim.namePrefix,
      random: randomNamePart(runtime),
      createBucket,
      region: settings.FLY_REGION,
      standby: settings.POOL_STATE,
      websocketUrlTemplate: hosting.addressTemplate,
      ratePerSecond: settings.FLY_RATE_PER_SECOND,
      makeWithinMs: MAKE_WITHIN_MS,
    }, deadline);
    if (added.outcome === "added") return added.entry;
    if (added.outcome === "enough" || added.wait_ms > LONGEST_TURN_MS) return null;
    await sleep(runtime.clock, Math.max(added.wait_ms, 1));
  }
  return null;
}

/** Returns whether it is worth making another. Never throws. */
async function make(filling: Filling, entry: PooledMachine): Promise<boolean> {
  const { pool, deadline, closeDeadline, report } = filling.context;
  const ids = { machineId: entry.machine_id, flyMachineId: null };
  try {
    const machine = await makeMachine(filling, entry);
    if (await pool.recordMade(entry.id, machine, deadline)) {
      report.add({ action: "pooled", ...ids, flyMachineId: machine.id });
    }
    return true;
  } catch (thrown) {
    const error = toAppError(thrown);
    const reason = `it could not be made: ${
      filling.request.isolate.redactor.redact(error.message)
    }`;
    // Should this fail too, the entry is discarded when its time is over.
    await pool.discard(entry.id, reason, closeDeadline).catch((failure) =>
      report.fail("an entry of the warm pool could not be discarded", failure, ids)
    );
    // Users go first: that Fly.io has no create left for the pool is no failure.
    if (error.code === "fly_rate_limited") {
      report.add({ action: "poolDiscarded", ...ids, reason });
    } else report.fail("a machine of the warm pool could not be made", thrown, ids);
    return false;
  }
}

async function makeMachine(
  { request, context, environment: { settings }, hosting }: Filling,
  entry: PooledMachine,
): Promise<FlyMachine> {
  const { isolate: { runtime, redactor }, log, measurements } = request;
  const { fly, deadline } = context;
  const { body, connectKey } = await pooledCreateBody(settings, runtime, entry);
  const release = redactor.protect(connectKey === null ? [] : [connectKey]);
  try {
    const preparing: PrepareContext = {
      runtime,
      fly,
      deadline,
      log,
      measurements,
      awaitTurn: () => Promise.reject(noCreateLeft()),
    };
    if (await hosting.prepare(preparing, entry) === "foreign") {
      throw new AppError("fly_rejected", "The app's name is taken by a stranger at Fly.io");
    }
    const reachable = hosting.makeReachable(preparing, entry);
    const [machine, addresses] = await Promise.allSettled([
      createWhenReady(context, hosting, body),
      reachable,
    ]);
    if (machine.status === "rejected") throw machine.reason;
    if (addresses.status === "rejected") throw addresses.reason;
    return machine.value;
  } finally {
    release();
  }
}

/** Only what says that the new app is not known everywhere yet is tried again. */
async function createWhenReady(
  { runtime, fly, deadline }: ReconcileContext,
  hosting: Hosting,
  body: CreateMachineBody,
): Promise<FlyMachine> {
  for (let attempt = 1;; attempt++) {
    try {
      return (await createMachine(fly, body.name, body, { deadline })).data;
    } catch (error) {
      if (!(error instanceof FlyError)) throw error;
      error.attempt = attempt;
      const waitMs = backoffMs(runtime, attempt, error.retryAfterMs);
      const again = hosting.isNotReadyYet(error) && attempt < MAX_NOT_READY;
      if (!again || waitMs >= deadline.remainingMs()) throw toProvisioningError(error, deadline);
      await sleep(runtime.clock, waitMs);
    }
  }
}

function noCreateLeft(): AppError {
  return new AppError("fly_rate_limited", "Fly.io has no create left for the pool at the moment");
}
