/**
 * What a row has at Fly.io: its machine, or the app that the machine has of its own. A row keeps the
 * mode it was made in, which the app's name shows.
 */
import { deleteApp, getApp } from "../fly/apps.ts";
import { FlyError } from "../fly/errors.ts";
import { destroyMachine, findMachineByName, type FlyMachine, getMachine } from "../fly/machines.ts";
import { backoffMs, sleep } from "../time.ts";
import type { FlyContext, MachineOfRow } from "./hosting.ts";
import { isOurApp } from "./whose-app.ts";

const MAX_ATTEMPTS = 3;

/** The result of a lookup: whether something of the row is there, and how it is destroyed. */
interface LookedUp {
  /** Nothing is there; something of ours; or something that is not. */
  what: "nothing" | "ours" | "foreign";
  destroy(): Promise<void>;
}

/**
 * The row's machine as it is now, found by its id or its name; null when Fly.io does not know it.
 * Throws {@link FlyError}.
 */
export async function findMachineOfRow(
  { fly, deadline }: FlyContext,
  machine: MachineOfRow,
): Promise<FlyMachine | null> {
  const { app, name, flyMachineId, seen } = machine;
  if (seen) return seen;
  try {
    // A stranger's app may have a machine with our name too; an id of ours is in no app but ours.
    if (app === name && flyMachineId === null) {
      if (!isOurApp(await getApp(fly, app, { deadline }), machine)) return null;
    }
    const found = flyMachineId === null
      ? await findMachineByName(fly, machine, { deadline })
      : await getMachine(fly, app, flyMachineId, { deadline });
    return found ?? null;
  } catch (error) {
    if (app === name && (isWithoutApp(error) || isOfStrangers(error, machine))) return null;
    // A shared app that is gone took the machine along; a name that is mistyped never had it.
    if (isWithoutApp(error) && await getApp(fly, app, { deadline }) === null) return null;
    throw error;
  }
}

/**
 * Destroys the row's machine, or the app that it has of its own, once its name has proved that it is
 * ours. Returns whether it is certain that nothing is left: a create whose answer was lost may still
 * land after a lookup that found nothing, and what Fly.io does not know at the moment may only not
 * be visible; then the row has to be checked again later. Throws {@link FlyError} when Fly.io did not destroy it.
 */
export async function destroyMachineOfRow(
  context: FlyContext,
  machine: MachineOfRow,
): Promise<boolean> {
  const { runtime, deadline } = context;
  const ownApp = machine.app === machine.name;
  let sent = false;
  for (let attempt = 1;; attempt++) {
    try {
      const { what, destroy } = await (ownApp ? lookUpApp : lookUpMachine)(context, machine);
      // After a call whose answer was lost, nothing there means that it took effect.
      if (what !== "ours") return sent && what === "nothing";
      sent = true;
      await destroy();
      return true;
    } catch (error) {
      if (!(error instanceof FlyError)) throw error;
      error.attempt = attempt;
      const waitMs = backoffMs(runtime, attempt, error.retryAfterMs);
      if (!error.mayPass || attempt >= MAX_ATTEMPTS || waitMs >= deadline.remainingMs()) {
        throw error;
      }
      await sleep(runtime.clock, waitMs);
    }
  }
}

async function lookUpMachine(context: FlyContext, machine: MachineOfRow): Promise<LookedUp> {
  const { fly, deadline } = context;
  const found = await findMachineOfRow(context, machine);
  const id = found?.id ?? "";
  return {
    what: found === null ? "nothing" : found.name === machine.name ? "ours" : "foreign",
    destroy: () => destroyMachine(fly, machine.app, id, { deadline }),
  };
}

async function lookUpApp(
  { fly, deadline }: FlyContext,
  machine: MachineOfRow,
): Promise<LookedUp> {
  const { app } = machine;
  const destroy = () => deleteApp(fly, app, { deadline });
  try {
    const found = await getApp(fly, app, { deadline });
    const what = found === null ? "nothing" : isOurApp(found, machine) ? "ours" : "foreign";
    return { what, destroy };
  } catch (error) {
    if (isOfStrangers(error, machine)) return { what: "foreign", destroy };
    throw error;
  }
}

/** An app of its own goes with its machine; a shared one that is missing is another matter. */
function isWithoutApp(error: unknown): boolean {
  return error instanceof FlyError && error.appIsUnknown;
}

/**
 * 403: the app's name is in an organisation that our token does not see, so a row without a machine
 * never got it. Should it be the token's fault instead, the app is found on the organisation's list
 * once the token is good again.
 */
function isOfStrangers(error: unknown, { flyMachineId, seen }: MachineOfRow): boolean {
  return error instanceof FlyError && error.status === 403 && flyMachineId === null &&
    seen === undefined;
}
