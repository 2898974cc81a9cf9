/**
 * Creates exactly one Fly machine for a row, whatever happens to the answers.
 *
 * A create can fail after it took effect, so after every failure that leaves this open the machine
 * is looked up before another create is sent. Names are unique within an app: should the first
 * create land after the look-up, the second is refused with 409 and the first is adopted.
 */
import { AppError } from "../errors.ts";
import type { Deadline } from "../deadline.ts";
import { type Runtime, sleep } from "../runtime.ts";
import { backoffMs } from "./backoff.ts";
import type { FlyClient, FlyResponse } from "./client.ts";
import { FlyError } from "./errors.ts";
import {
  carries,
  createMachine,
  type CreateMachineBody,
  type FlyMachine,
  getMachine,
  listMachines,
} from "./machines.ts";
import { toProvisioningError } from "./provisioning-error.ts";

/** Enough to ride out a hiccup; a caller is better served by an answer than by a longer silence. */
const MAX_ATTEMPTS = 5;
/** A refusal for going too fast costs Fly.io nothing and is over soon. */
const MAX_RATE_LIMITED_ATTEMPTS = 20;

export interface CreateOnceOptions {
  runtime: Pick<Runtime, "clock" | "random">;
  fly: FlyClient;
  app: string;
  body: CreateMachineBody;
  /** Metadata that only this row's machine carries. */
  identity: Record<string, string>;
  /** Regions to try in turn when one has no capacity; the first is the one asked for. */
  regions: string[];
  deadline: Deadline;
  /**
   * Waits until another create may be sent after Fly.io refused one for going too fast, and asked
   * for a pause of `retryAfterMs`. Rejects with {@link AppError} when that would be too late.
   */
  awaitTurn(retryAfterMs: number): Promise<void>;
  /**
   * Asked before a create is sent again whose first one left nothing to be found: whoever destroys the
   * machine says so in its row beforehand. Rejects with {@link AppError} when the row wants no machine.
   */
  assertWanted(): Promise<void>;
  /** Told of each attempt, before and after it. */
  observer: CreateObserver;
}

export interface CreateObserver {
  calling(region: string, attempt: number): void;
  succeeded(response: Omit<FlyResponse<FlyMachine>, "data">): void;
  /** `next`: what is done about it; undefined when this failure is final. */
  failed(error: FlyError, next?: string): void;
}

/** Why no machine came of it, and whether one may exist all the same. */
export class CreateFailed extends Error {
  override name = "CreateFailed";
  constructor(readonly error: AppError, readonly mayExist: boolean) {
    super(error.message, { cause: error });
  }
}

/** Throws {@link CreateFailed}. */
export async function createMachineOnce(options: CreateOnceOptions): Promise<FlyMachine> {
  const { runtime, observer, deadline } = options;
  const regions = [...options.regions];
  let region = regions.shift() ?? options.body.region;
  let mayExist = false;

  for (let attempt = 1;; attempt++) {
    let failure: FlyError;
    try {
      return await createOrFind(options, region, attempt, mayExist);
    } catch (error) {
      if (!(error instanceof FlyError)) throw error;
      failure = error;
      failure.attempt = attempt;
      // Names are random: whoever has ours is almost certainly ours, even if it was not found.
      mayExist ||= failure.ambiguous || failure.nameIsTaken;
    }

    const nextRegion = failure.code === "fly_capacity" ? regions.shift() : undefined;
    if (nextRegion !== undefined) {
      observer.failed(failure, `trying region ${nextRegion}`);
      region = nextRegion;
      continue;
    }
    const waitMs = backoffMs(runtime, attempt, failure.retryAfterMs);
    const rateLimited = failure.code === "fly_rate_limited";
    const retry = (failure.ambiguous || rateLimited) &&
      attempt < (rateLimited ? MAX_RATE_LIMITED_ATTEMPTS : MAX_ATTEMPTS) &&
      waitMs < deadline.remainingMs();
    if (!retry) {
      observer.failed(failure);
      throw new CreateFailed(toProvisioningError(failure, deadline), mayExist);
    }
    if (rateLimited && failure.method === "POST") {
      observer.failed(failure, "waiting for its turn");
      await awaitTurn(options, failure, mayExist);
    } else {
      observer.failed(failure, `trying again in ${waitMs} ms`);
      await sleep(runtime.clock, waitMs);
    }
  }
}

async function awaitTurn(
  options: CreateOnceOptions,
  refusal: FlyError,
  mayExist: boolean,
): Promise<void> {
  try {
    await options.awaitTurn(refusal.retryAfterMs ?? 0);
  } catch (error) {
    throw error instanceof AppError ? new CreateFailed(error, mayExist) : error;
  }
}

/** One attempt: looks first if an earlier one may have taken effect, and adopts what it finds. */
async function createOrFind(
  options: CreateOnceOptions,
  region: string,
  attempt: number,
  mayExist: boolean,
): Promise<FlyMachine> {
  const { fly, app, body, observer, deadline } = options;
  if (mayExist) {
    const found = await findOwnMachine(options);
    if (found) return found;
    await options.assertWanted();
  }
  observer.calling(region, attempt);
  try {
    const response = await createMachine(fly, app, { ...body, region }, { deadline });
    observer.succeeded(response);
    return response.data;
  } catch (error) {
    if (error instanceof FlyError && error.nameIsTaken) {
      const found = await findNamesake(options, error.idOfNamesake);
      if (found) return found;
    }
    throw error;
  }
}

/**
 * The machine that has our name already, if it is this row's. Its id, where Fly.io tells it, leads
 * to it at once; a list may lag behind.
 */
async function findNamesake(
  options: CreateOnceOptions,
  id: string | undefined,
): Promise<FlyMachine | undefined> {
  if (id === undefined) return await findOwnMachine(options);
  const { fly, app, identity, deadline } = options;
  const machine = await getMachine(fly, app, id, { deadline });
  return machine && carries(machine, identity) ? machine : undefined;
}

/** This row's machine, if the app has it: the name alone does not prove that it is ours. */
export async function findOwnMachine(
  { fly, app, body, identity, deadline }:
    & Pick<
      CreateOnceOptions,
      "fly" | "app" | "identity" | "deadline"
    >
    & { body: Pick<CreateMachineBody, "name"> },
): Promise<FlyMachine | undefined> {
  const machines = await listMachines(fly, app, identity, { deadline });
  return machines.find((machine) => machine.name === body.name && machine.state !== "destroyed");
}
