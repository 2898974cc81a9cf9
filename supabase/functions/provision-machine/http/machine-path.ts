/** The machine that a path names. */
import { AppError } from "../errors.ts";

/** As the table's constraint has it. Nothing else is looked up: Postgres takes no NUL, say. */
const MACHINE_ID = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** The `{machineId}` of a route. Throws {@link AppError} `not_found` when it can name no machine. */
export function machineIdOf(parameters: Record<string, string>): string {
  const machineId = decodeURIComponentOrNull(parameters["machineId"] ?? "");
  if (machineId === null || !MACHINE_ID.test(machineId)) throw noSuchMachine();
  return machineId;
}

/** The same for a machine that does not exist and for another user's. */
export function noSuchMachine(): AppError {
  return new AppError("not_found", "There is no such machine", {
    hint: "Check the machineId; only its owner and services can see it",
  });
}

function decodeURIComponentOrNull(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    // Malformed percent-encoding names no machine.
    return null;
  }
}
