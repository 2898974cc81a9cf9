/** The start of one machine against a script: what the tests of the start loop share. */
import assert from "node:assert/strict";
import { AppError } from "../../supabase/functions/provision-machine/errors.ts";
import { startMachine } from "../../supabase/functions/provision-machine/provision/start-machine.ts";
import {
  type Answer,
  OWN,
  type Provisioning,
  ROW,
  RUNNING,
  says,
  type Script,
  scriptProvisioning,
} from "./scripted-provisioning.ts";

export const RECORDED = says(200, { outcome: "applied", machine: ROW });
const MARKED = says(200, { outcome: "applied", machine: RUNNING });
export const DESTROYED = says(200, {
  outcome: "conflict",
  machine: { ...ROW, status: "destroyed" },
});
export const STARTED = says(200, { ok: true });
export const NOT_YET = says(408, { error: "deadline_exceeded" });

/** The machine as the poll sees it. */
export const seen = (state: string, events?: unknown[]): Answer =>
  says(200, { ...OWN, state, events });

/** What the database says when all goes well. */
export const DATABASE = {
  record_fly_machine: RECORDED,
  take_create_slot: says(200, { outcome: "go", wait_ms: 0 }),
  mark_machine_running: MARKED,
};

/**
 * Starts this row's machine against a script.
 *
 * @returns the outcome: the row's status, or `code: message` of the error
 */
export function start(
  script: Script,
  machine: Partial<typeof OWN> = {},
): { provisioning: Provisioning; outcome: Promise<string> } {
  const provisioning = scriptProvisioning({ ...DATABASE, ...script });
  const { context } = provisioning;
  const outcome = provisioning.run(() => startMachine(context, ROW, { ...OWN, ...machine })).then(
    ({ status }) => status,
    (error: unknown) => {
      assert.ok(error instanceof AppError, String(error));
      return `${error.code}: ${error.message}`;
    },
  );
  return { provisioning, outcome };
}
