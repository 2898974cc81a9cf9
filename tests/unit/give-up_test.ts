/** Giving up: the row is closed first, then what may be left at Fly.io is destroyed. */
import assert from "node:assert/strict";
import { AppError } from "../../supabase/functions/provision-machine/errors.ts";
import { giveUp } from "../../supabase/functions/provision-machine/provision/give-up.ts";
import {
  after,
  lost,
  OWN,
  type Provisioning,
  ROW,
  RUNNING,
  says,
  type Script,
  scriptProvisioning,
} from "./scripted-provisioning.ts";

const ERROR = { ...ROW, status: "error", error_code: "fly_capacity", error_message: "No room" };
const CLOSED = says(200, { outcome: "applied", machine: ERROR });
const OTHERWISE = (row: object) => says(200, { outcome: "conflict", machine: row });
const CLEANED = says(200, { outcome: "applied", machine: ERROR });
const OK = says(200, { ok: true });
const NONE = says(200, []);

const STALE = "The row may still say provisioning; it is repaired within minutes.";
const LEFTOVER = "Any leftover Fly machine will be destroyed within minutes.";

interface Options {
  /** The machine is known; otherwise only that one may exist, or none. */
  machine?: typeof OWN;
  mayExist?: boolean;
  thrown?: unknown;
}

async function giveUpWith(
  script: Script,
  { machine, mayExist = machine !== undefined, thrown = new AppError("fly_capacity", "No room") }:
    Options = {},
): Promise<{ provisioning: Provisioning; error: AppError | null }> {
  const provisioning = scriptProvisioning(script);
  const { context, input } = provisioning;
  const error = await provisioning.run(() =>
    giveUp(context, input, { machine, mayExist, appMayExist: false }, thrown)
  )
    .then(
      () => null,
      (error: unknown) => {
        assert.ok(error instanceof AppError, String(error));
        return error;
      },
    );
  return { provisioning, error };
}

Deno.test("give up: nothing can exist, so the row is closed and Fly.io is not asked", async () => {
  const { provisioning, error } = await giveUpWith({ mark_machine_error: CLOSED });
  assert.deepEqual(provisioning.calls, ["mark_machine_error"]);
  assert.deepEqual([error?.code, error?.message], ["fly_capacity", "No room"]);
  assert.equal(error?.hint, new AppError("fly_capacity", "").hint);
  assert.deepEqual(provisioning.arguments[0], {
    p_id: "row-1",
    p_expected_status: "provisioning",
    p_error_code: "fly_capacity",
    p_error_message: "No room",
    p_request_id: "request-1",
    p_duration_ms: 0,
    p_detail: { ms: {}, attempts: 0 },
  });
});

Deno.test("give up: a known machine is destroyed after the row was closed, and that is noted", async () => {
  const { provisioning, error } = await giveUpWith(
    { mark_machine_error: CLOSED, delete: OK, mark_machine_cleaned_up: after(500, CLEANED) },
    { machine: OWN },
  );
  assert.deepEqual(provisioning.calls, [
    "mark_machine_error",
    `delete ${OWN.id}`,
    "mark_machine_cleaned_up",
  ]);
  const { p_fly_machine_id, p_cleanup_in_ms } = provisioning.arguments[0] ?? {};
  assert.deepEqual([p_fly_machine_id, p_cleanup_in_ms], [OWN.id, 60_000]);
  assert.equal(error?.code, "fly_capacity");
  // Noted before the answer: an isolate may end right after it.
  assert.equal(provisioning.elapsedMs(), 500);
});

Deno.test("give up: a machine that may exist is looked up and destroyed", async () => {
  const { provisioning } = await giveUpWith({
    mark_machine_error: CLOSED,
    list: says(200, [OWN]),
    delete: OK,
    mark_machine_cleaned_up: CLEANED,
  }, { mayExist: true });
  assert.deepEqual(provisioning.calls, [
    "mark_machine_error",
    "list",
    `delete ${OWN.id}`,
    "mark_machine_cleaned_up",
  ]);
});

Deno.test("give up: a create that may still land is left to reconcile", async () => {
  const { provisioning, error } = await giveUpWith({ mark_machine_error: CLOSED, list: NONE }, {
    mayExist: true,
  });
  assert.deepEqual(provisioning.calls, ["mark_machine_error", "list"]);
  assert.ok(error?.hint.endsWith(LEFTOVER), error?.hint);
});

Deno.test("give up: a machine whose row may have become running is not destroyed", async () => {
  const { provisioning, error } = await giveUpWith({ mark_machine_error: lost }, {
    machine: OWN,
    thrown: new AppError("database_error", "No answer"),
  });
  assert.ok(!provisioning.calls.includes(`delete ${OWN.id}`), provisioning.calls.join(", "));
  assert.ok(error?.hint.endsWith(STALE), error?.hint);
  assert.equal(error?.retry, "same_key");
});

Deno.test("give up: a machine that cannot be destroyed is left to reconcile, and logged", async () => {
  const { provisioning, error } = await giveUpWith(
    { mark_machine_error: CLOSED, delete: says(403, { error: "no" }) },
    { machine: OWN },
  );
  assert.ok(!provisioning.calls.includes("mark_machine_cleaned_up"));
  assert.equal(error?.hint, `${new AppError("fly_capacity", "").hint}. ${LEFTOVER}`);
  assert.deepEqual(provisioning.log.lines(), [
    "error: The Fly machine could not be destroyed; reconcile will",
  ]);
});

Deno.test("give up: without the database the machine is destroyed anyway, and the answer says so", async () => {
  const { provisioning, error } = await giveUpWith(
    { mark_machine_error: lost, delete: OK },
    { machine: OWN },
  );
  assert.equal(provisioning.calls.at(-1), `delete ${OWN.id}`);
  assert.equal(error?.code, "fly_capacity");
  assert.equal(error?.hint, `${new AppError("fly_capacity", "").hint}. ${STALE}`);
  assert.deepEqual(provisioning.log.lines(), [
    "error: The row could not be marked as error; reconcile will",
  ]);
});

Deno.test("give up: a row that reconcile adopted is the answer, and its machine stays", async () => {
  // Also when it has stopped since.
  for (const row of [RUNNING, { ...RUNNING, status: "stopped", stop_reason: "idle" }]) {
    const { provisioning, error } = await giveUpWith(
      { mark_machine_error: OTHERWISE(row) },
      { machine: OWN },
    );
    assert.equal(error, null);
    assert.deepEqual(provisioning.calls, ["mark_machine_error"]);
  }
});

Deno.test("give up: the answer says what the row says", async () => {
  const interrupted = { ...ERROR, error_code: "interrupted", error_message: "Interrupted" };
  const cases: [row: object | null, code: string, message: string][] = [
    [
      { ...ERROR, error_code: "machine_failed", error_message: "It failed" },
      "machine_failed",
      "It failed",
    ],
    // What only reconcile writes is no code of an answer.
    [interrupted, "internal_error", "Interrupted"],
    [
      { ...ROW, status: "destroyed" },
      "machine_failed",
      "The machine was destroyed while it was being provisioned",
    ],
    [null, "internal_error", "The machine's row was deleted while it was provisioned"],
  ];
  for (const [row, code, message] of cases) {
    const answer = row === null ? says(200, { outcome: "not_found" }) : OTHERWISE(row);
    const thrown = new AppError("fly_capacity", "No room");
    const { error } = await giveUpWith({ mark_machine_error: answer }, { thrown });
    assert.deepEqual([error?.code, error?.message], [code, message]);
    assert.equal(error?.cause, thrown);
  }
});

Deno.test("give up: what was not foreseen closes the row as internal_error, without its own words", async () => {
  const { provisioning, error } = await giveUpWith({ mark_machine_error: CLOSED }, {
    thrown: new TypeError("secret insides"),
  });
  const { p_error_code, p_error_message } = provisioning.arguments[0] ?? {};
  assert.deepEqual([p_error_code, p_error_message], [
    "internal_error",
    "An unexpected error happened",
  ]);
  assert.equal(error?.code, "internal_error");
});

Deno.test("give up: secrets do not get into the row", async () => {
  const provisioning = scriptProvisioning({ mark_machine_error: CLOSED });
  const { context, input, progress } = provisioning;
  context.redactor.protect(["fo1_a-secret"]);
  const thrown = new AppError("fly_rejected", "refused fo1_a-secret");
  await assert.rejects(provisioning.run(() => giveUp(context, input, progress, thrown)));
  assert.equal(provisioning.arguments[0]?.["p_error_message"], "refused [REDACTED]");
});
