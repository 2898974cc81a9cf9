/**
 * Creates exactly one Fly machine for a row, whatever happens to the answers.
 *
 * A create can fail after it took effect, so after every failure that leaves this open the machine
 * is looked up before another create is sent. Names are unique within an app: should the first
 * create land after the lookup, the second is refused with 409 and the first is adopted.
 */
import { FlyError, toProvisioningError } from "../fly/errors.ts";
import {
  createMachine as sendCreate,
  findMachineByName,
  type FlyMachine,
  getMachine,
} from "../fly/machines.ts";
import type { Hosting } from "../hosting/hosting.ts";
import { backoffMs, sleep } from "../time.ts";
import type { Progress, ProvisionContext, ProvisionInput } from "./context.ts";
import { awaitSlotAfterRefusal, takeCreateSlot } from "./create-slot.ts";

/** What can stand in the way of a create, and how often before the request gives up. */
const MAX_FAILURES = {
  /** Enough to ride out a hiccup; callers are better served by an answer than by a longer silence. */
  ambiguous: 5,
  /** A refusal for going too fast costs Fly.io nothing and is over soon. */
  rate_limited: 20,
  /** Seen by several clients: a new app is known everywhere within seconds. */
  not_ready_yet: 10,
};
/** How long the region is not tried first; nothing but a create shows that it has recovered. */
const REFUSED_FOR_MS = 10 * 60_000;
/** For others' sake alone, so the caller does not wait for long. */
const NOTE_WITHIN_MS = 2_000;
type Obstacle = keyof typeof MAX_FAILURES;
/**
 * Seen after a push: an image that arrives at Fly.io within 10 s to a minute. These wait 31 s in
 * all; an image that does not exist should not be waited for much longer.
 */
const IMAGE_WAITS_MS = [1_000, 3_000, 6_000, 9_000, 12_000];

/**
 * Returns the row's machine, created or found. Keeps `progress.mayExist` true to what Fly.io may
 * hold. Throws {@link AppError}.
 */
export async function createMachine(
  context: ProvisionContext,
  input: ProvisionInput,
  progress: Progress,
): Promise<FlyMachine> {
  const { runtime, hosting, workDeadline } = context;
  let [region, ...fallbacks] = input.regions;
  const imageWaits = IMAGE_WAITS_MS.values();
  // Each on its own: a few refusals must leave the patience for a lost answer as it was.
  const failures: Record<Obstacle, number> = { ambiguous: 0, rate_limited: 0, not_ready_yet: 0 };
  for (let attempt = 1;; attempt++) {
    let failure: FlyError;
    try {
      return await createOrFind(context, input, progress, { region, attempt });
    } catch (error) {
      if (!(error instanceof FlyError)) throw error;
      failure = error;
      failure.attempt = attempt;
    }

    await noteRegion(context, failure, region);
    const [nextRegion, ...others] = fallbacks;
    if (failure.code === "fly_capacity" && nextRegion !== undefined) {
      noteFailure(context, failure, `trying region ${nextRegion}`);
      region = nextRegion;
      fallbacks = others;
      continue;
    }
    const obstacle = obstacleOf(failure, hosting);
    const times = obstacle === null ? 0 : ++failures[obstacle];
    const imageWaitMs = failure.refusal === "image_missing" ? imageWaits.next().value : undefined;
    const waitMs = imageWaitMs ?? backoffMs(runtime, times, failure.retryAfterMs);
    const again = imageWaitMs !== undefined ||
      (obstacle !== null && times < MAX_FAILURES[obstacle]);
    if (!again || waitMs >= workDeadline.remainingMs()) {
      noteFailure(context, failure);
      throw toProvisioningError(failure, workDeadline);
    }
    if (obstacle === "rate_limited" && failure.method === "POST") {
      noteFailure(context, failure, "waiting for its turn");
      await awaitSlotAfterRefusal(context, input, failure.retryAfterMs ?? 0);
    } else {
      noteFailure(context, failure, `trying again in ${waitMs} ms`);
      await sleep(runtime.clock, waitMs);
      if (imageWaitMs !== undefined) await takeCreateSlot(context, input.row);
    }
  }
}

/** A quota, or a retired region, concerns whoever comes next as well. */
async function noteRegion(
  { claims, log, workDeadline }: ProvisionContext,
  { refusal }: FlyError,
  region: string,
): Promise<void> {
  if (refusal !== "region_quota" && refusal !== "region_retired") return;
  const soon = workDeadline.within(NOTE_WITHIN_MS);
  await claims.noteRefusedRegion(region, REFUSED_FOR_MS, soon).catch((error) =>
    log.deferWarning("The refused region could not be noted", {
      reason: String(error.cause ?? error),
    })
  );
}

/** Null when another attempt cannot help. */
function obstacleOf(failure: FlyError, hosting: Hosting): Obstacle | null {
  if (failure.code === "fly_rate_limited") return "rate_limited";
  if (failure.mayHaveTakenEffect) return "ambiguous";
  return hosting.isNotReadyYet(failure) ? "not_ready_yet" : null;
}

/** One attempt: looks first if an earlier one may have taken effect, and adopts what it finds. */
async function createOrFind(
  context: ProvisionContext,
  input: ProvisionInput,
  progress: Progress,
  { region, attempt }: { region: string; attempt: number },
): Promise<FlyMachine> {
  const { fly, workDeadline: deadline } = context;
  const { row, body } = input;
  const mightExist = progress.mayExist;
  if (mightExist) {
    const found = await findOwnMachine(context, input);
    if (found) return found;
    // A DELETE closes the row before it destroys the machine that was not found here.
    await takeCreateSlot(context, row);
  }
  noteAttempt(context, input, region, attempt);
  progress.mayExist = true;
  try {
    const response = await sendCreate(fly, row.fly_app_name, { ...body, region }, { deadline });
    noteSuccess(context, input, response);
    return response.data;
  } catch (error) {
    if (!(error instanceof FlyError)) throw error;
    // Names are random: a machine with ours is almost certainly ours, even if it is not found.
    progress.mayExist = mightExist || error.mayHaveTakenEffect || error.nameIsTaken;
    const found = error.nameIsTaken ? await findByTakenName(context, input, error) : undefined;
    if (found) return found;
    throw error;
  }
}

/**
 * The machine that has our name already. Its id, where Fly.io names it, leads to it at once; a list
 * may lag behind.
 */
async function findByTakenName(
  context: ProvisionContext,
  input: ProvisionInput,
  { existingMachineId: id }: FlyError,
): Promise<FlyMachine | undefined> {
  if (id === undefined) return await findOwnMachine(context, input);
  const { fly, workDeadline: deadline } = context;
  const machine = await getMachine(fly, input.row.fly_app_name, id, { deadline });
  return machine?.name === input.row.machine_id ? machine : undefined;
}

function findOwnMachine(
  { fly, workDeadline: deadline }: ProvisionContext,
  { row }: ProvisionInput,
): Promise<FlyMachine | undefined> {
  const wanted = { app: row.fly_app_name, name: row.machine_id };
  return findMachineByName(fly, wanted, { deadline });
}

function noteAttempt(
  { log, measurements }: ProvisionContext,
  { row, body, loggableBody, isLogged = false }: ProvisionInput,
  region: string,
  attempt: number,
): void {
  measurements.createAttempts = attempt;
  measurements.region = region;
  if (attempt > 1 || isLogged) return;
  log.callingFly({
    region,
    app: row.fly_app_name,
    machineName: body.name,
    image: body.config.image,
    body: { ...loggableBody, region },
  });
}

function noteSuccess(
  { log, measurements }: ProvisionContext,
  { isLogged = false }: ProvisionInput,
  { status, statusText, flyRequestId, durationMs }: Awaited<ReturnType<typeof sendCreate>>,
): void {
  measurements.flyRequestIds.push(flyRequestId);
  if (!isLogged) log.flyResponse(status, statusText, { flyRequestId, durationMs });
}

/** `next`: what is done about it; undefined when the failure is final. */
function noteFailure(
  { log, measurements }: ProvisionContext,
  failure: FlyError,
  next?: string,
): void {
  measurements.failedCall("create", failure, next);
  const { status, statusText, flyRequestId, attempt } = failure;
  if (next) {
    log.deferWarning(`Fly.io create failed, ${next}: ${failure.message}`, {
      attempt,
      flyRequestId,
    });
  } else if (status !== undefined) log.flyResponse(status, statusText, { flyRequestId });
}
