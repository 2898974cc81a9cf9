/**
 * A stranger's app has the machine's name: names of apps are one namespace for all of Fly.io. The row
 * gets another name before anything is created under it.
 */
import { originOf } from "../database/machines.ts";
import { AppError } from "../errors.ts";
import type { ProvisionContext, ProvisionInput } from "./context.ts";
import { asTimeout, destroyedMeanwhile } from "./create-slot.ts";
import { randomNamePart } from "./machine-config.ts";

/**
 * Names are random, so one that is taken was seen and taken on purpose; an attacker that does so again and
 * again does not get to spend the organisation's creates.
 */
export const MAX_NAMES = 3;

/**
 * The same request under another name, which stands in the row. Throws {@link AppError}:
 * `machine_failed` when the row was closed or its machine is to be destroyed; `provision_timeout`;
 * `database_error`.
 */
export async function takeAnotherName(
  context: ProvisionContext,
  { row, inputFor }: ProvisionInput,
): Promise<ProvisionInput> {
  const { runtime, claims, hosting, log, workDeadline } = context;
  const name = {
    taken: row.machine_id,
    namePrefix: hosting.claim.namePrefix,
    random: randomNamePart(runtime),
    websocketUrlTemplate: hosting.addressTemplate,
  };
  const renaming = claims.rename(row.id, name, originOf(context), workDeadline);
  const renamed = await asTimeout(workDeadline, renaming);
  if (renamed.outcome !== "applied") throw destroyedMeanwhile();
  const { machine_id: machineName } = renamed.machine;
  log.deferWarning(`A stranger's app has the name ${row.machine_id}; the machine gets another`, {
    machineName,
  });
  return await inputFor(renamed.machine);
}

/** Every name that was tried is a stranger's. */
export function everyNameTaken(): AppError {
  return new AppError("fly_rejected", "The app's name is taken by a stranger at Fly.io", {
    hint: "Try again: the next machine gets another name",
  });
}
