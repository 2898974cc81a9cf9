/** Destroys what a row has at Fly.io, for a DELETE, a failed provisioning and reconcile alike. */
import { deleteApp, getApp } from "../fly/apps.ts";
import { FlyError } from "../fly/errors.ts";
import { destroyMachine, findMachineByName, type FlyMachine, getMachine } from "../fly/machines.ts";
import { backoffMs, sleep } from "../time.ts";
import type { FlyContext, MachineOfRow } from "./hosting.ts";

const MAX_ATTEMPTS = 3;

/** What a look-up found: whether something of the row is there, and how it is destroyed. */
interface LookedUp {
  /** Nothing is there; something of ours; or something that is not. */
  what: "nothing" | "ours" | "foreign";
  destroy(): Promise<void>;
}

/**
 * Destroys the row's machine, or the app that it has of its own, once its name has proved that it is
 * ours. A row keeps the mode it was made in, which the app's name shows. Returns whether it is
 * certain that nothing is left: a create whose answer was lost may still land after a look-up that
 * found nothing, and what Fly.io does not know at the moment may only not be visible; then the row
 * has to be checked again later. Throws {@link FlyError} when Fly.io did not destroy it.
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
      const canHelp = error.mayHaveTakenEffect || error.code === "fly_rate_limited";
      if (!canHelp || attempt >= MAX_ATTEMPTS || waitMs >= deadline.remainingMs()) throw error;
      await sleep(runtime.clock, waitMs);
    }
  }
}

async function lookUpMachine(
  { fly, deadline }: FlyContext,
  machine: MachineOfRow,
): Promise<LookedUp> {
  const { app, name, flyMachineId, seen } = machine;
  let found: FlyMachine | null | undefined = seen;
  if (found === undefined && flyMachineId === null) {
    found = await findMachineByName(fly, machine, { deadline });
  } else if (found === undefined && flyMachineId !== null) {
    found = await getMachine(fly, app, flyMachineId, { deadline });
  }
  const id = found?.id ?? "";
  return {
    what: !found ? "nothing" : found.name === name ? "ours" : "foreign",
    destroy: () => destroyMachine(fly, app, id, { deadline }),
  };
}

async function lookUpApp(
  { fly, deadline }: FlyContext,
  { app }: MachineOfRow,
): Promise<LookedUp> {
  const found = await getApp(fly, app, { deadline });
  return {
    // A stranger's app with our name has another network.
    what: found === null ? "nothing" : found.network === app ? "ours" : "foreign",
    destroy: () => deleteApp(fly, app, { deadline }),
  };
}
