/** I2: an answer is true, judged by what the database and Fly.io hold when all is over. */
import { type Call, type EventRow, isNameOf, type Machine, type MachineRow } from "./evidence.ts";

/** What answers are compared with. */
export interface AnsweredSystem {
  rows: readonly MachineRow[];
  events: readonly EventRow[];
  machines: readonly Machine[];
  calls: readonly Call[];
  /** Ids of the accounts that were deleted on the way. */
  deletedUsers: readonly string[];
}

export function untrueAnswers(state: AnsweredSystem): string[] {
  return state.calls.flatMap((call) => {
    if (call.answer === null || call.kind === "reconcile") return [];
    const body = JSON.parse(call.answer.text);
    const machineId = call.machineId ?? body.machineId;
    const row = state.rows.find((row) => isNameOf(machineId, row));
    const why = call.kind === "destroy"
      ? whyDestroyIsUntrue(call.answer.status, row)
      : whyProvisionIsUntrue(call, call.answer.status, body, row, state);
    return why === null
      ? []
      : [`I2: ${call.kind} ${call.answer.status}: ${why}: ${call.answer.text}`];
  });
}

function whyDestroyIsUntrue(status: number, row: MachineRow | undefined): string | null {
  // An account that is gone owns nothing any more, even with a token that is still good.
  if (status >= 500 || (status === 404 && row?.user_id === null)) return null;
  if (status !== 200) return "the machine was there to be destroyed";
  return row?.status === "destroyed" ? null : `the row says ${row?.status}`;
}

// deno-lint-ignore no-explicit-any -- a test may look at any field
type Body = any;

function whyProvisionIsUntrue(
  call: Call,
  status: number,
  body: Body,
  row: MachineRow | undefined,
  state: AnsweredSystem,
): string | null {
  if (body.machineId !== null && row === undefined) return "no row has this machineId";
  if (status === 200) return whyNotStarted(call, body, row, state);
  if (status === 202) return row ? null : "there is no row";
  if (status === 500) return whyFailureIsUntrue(body, row);
  // An account that was deleted meanwhile.
  if (status === 401 && state.deletedUsers.includes(call.userId ?? "")) return null;
  // The limit, or the key of a machine that was destroyed since.
  if (status === 409 || status === 422) return null;
  return "the request was valid, and this status says otherwise";
}

function whyNotStarted(
  call: Call,
  body: Body,
  row: MachineRow | undefined,
  { machines, events }: AnsweredSystem,
): string | null {
  const answeredAt = call.endedAt ?? Infinity;
  const machine = machines.find(({ id }) => id === body.flyMachineId);
  if (body.status !== "running") return "the status is not running";
  if (machine?.name !== body.machineId) return "there is no such Fly machine";
  if (!machine?.history.some(({ at, state }) => state === "started" && at <= answeredAt)) {
    return "the Fly machine was not started by then";
  }
  if (row?.fly_machine_id !== body.flyMachineId) return "the row names another Fly machine";
  const closed = events.some((event) =>
    event.cloud_machine_id === row?.id && ["running", "adopted"].includes(event.kind) &&
    Date.parse(event.created_at) <= answeredAt
  );
  return closed ? null : "the row did not say running by then";
}

function whyFailureIsUntrue(body: Body, row: MachineRow | undefined): string | null {
  if (row === undefined) return null;
  if (body.retry === "same_key" || row.status === "destroyed") return null;
  if (row.status !== "error") return `the row says ${row.status}`;
  const same = row.error_code === body.code ||
    (body.code === "internal_error" && row.error_message === body.error);
  return same ? null : `the row says ${row.error_code}: ${row.error_message}`;
}
