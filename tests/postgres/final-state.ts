/** What is looked at when a run is over, and each way in which it can break a promise. */
import type { MachineRecord } from "../../dev/stack/fly/mod.ts";

/** What somebody asked for. */
export interface CallIntent {
  kind: "provision" | "destroy" | "reconcile";
  userId?: string;
  key?: string | null;
  async?: boolean;
  body?: Record<string, string>;
  /** Of a destroy. */
  machineId?: string;
  /** The caller hangs up after this time. */
  leaveAfterMs?: number;
}

/** A call and what came back; `answer` null: nothing. */
export interface Call extends CallIntent {
  startedAt: number;
  endedAt: number | null;
  answer: { status: number; headers: Headers; text: string } | null;
}

/** A row of `cloud_machines` as JSON. */
export interface MachineRow {
  id: string;
  user_id: string | null;
  machine_id: string;
  fly_machine_id: string | null;
  status: "provisioning" | "running" | "error" | "destroyed";
  error_code: string | null;
  error_message: string | null;
  idempotency_key: string | null;
  reconcile_at: string | null;
  destroy_requested_at: string | null;
  provisioned_at: string | null;
}

export interface EventRow {
  cloud_machine_id: string;
  request_id: string;
  kind: string;
  error_code: string | null;
  created_at: string;
}

/** What is looked at of a Fly machine. */
export type Machine = Pick<MachineRecord, "id" | "name" | "state" | "live" | "history"> & {
  config: { metadata?: Record<string, string> };
};

export interface FinalState {
  rows: MachineRow[];
  events: EventRow[];
  /** Every machine that ever existed. */
  machines: Machine[];
  calls: Call[];
  /** Ids of the accounts that were deleted on the way. */
  deletedUsers: string[];
  /** All output of all function processes. */
  lines: string[];
  /** What must appear nowhere. */
  secrets: string[];
}

/** Each broken promise as a sentence that starts with the invariant's name. */
export function violations(state: FinalState): string[] {
  return [
    ...openRows(state),
    ...untrueAnswers(state),
    ...duplicates(state),
    ...unseenMachines(state),
    ...falseAlarms(state),
    ...unloggedFailures(state),
    ...leakedSecrets(state),
  ];
}

function openRows({ rows }: FinalState): string[] {
  return rows.filter(({ status }) => status === "provisioning")
    .map(({ machine_id }) => `I1 ${machine_id} stayed provisioning`);
}

function untrueAnswers(state: FinalState): string[] {
  return state.calls.flatMap((call) => {
    if (call.answer === null || call.kind === "reconcile") return [];
    const body = JSON.parse(call.answer.text);
    const machineId = call.machineId ?? body.machineId;
    const row = state.rows.find(({ machine_id }) => machine_id === machineId);
    const why = call.kind === "destroy"
      ? whyDestroyIsUntrue(call.answer.status, row)
      : whyProvisionIsUntrue(call, call.answer.status, body, row, state);
    return why === null
      ? []
      : [`I2 ${call.kind} ${call.answer.status}: ${why}: ${call.answer.text}`];
  });
}

function whyDestroyIsUntrue(status: number, row: MachineRow | undefined): string | null {
  // An account that is gone owns nothing any more, even with a token that is still good.
  if (status >= 500 || (status === 404 && row?.user_id === null)) return null;
  if (status !== 200) return "the machine was there to be destroyed";
  return row?.status === "destroyed" ? null : `the row says ${row?.status}`;
}

// deno-lint-ignore no-explicit-any -- a test looks at whatever came back
type Body = any;

function whyProvisionIsUntrue(
  call: Call,
  status: number,
  body: Body,
  row: MachineRow | undefined,
  state: FinalState,
): string | null {
  if (body.machineId !== null && row === undefined) return "no row has this machineId";
  if (status === 200) return whyNotStarted(call, body, row, state);
  if (status === 202) return row ? null : "there is no row";
  if (status === 500) return whyFailureIsUntrue(body, row);
  // An account that was deleted meanwhile.
  if (status === 401 && state.deletedUsers.includes(call.userId ?? "")) return null;
  // The limit, or the key of a machine that was destroyed since.
  if (status === 409 || status === 422) return null;
  return "nobody made a mistake that this status speaks of";
}

function whyNotStarted(
  call: Call,
  body: Body,
  row: MachineRow | undefined,
  { machines, events }: FinalState,
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
  const saysSo = /may still say provisioning|outcome is not known yet/.test(body.message);
  if (saysSo || row.status === "destroyed") return null;
  if (row.status !== "error") return `the row says ${row.status}`;
  const same = row.error_code === body.code ||
    (body.code === "internal_error" && row.error_message === body.error);
  return same ? null : `the row says ${row.error_code}: ${row.error_message}`;
}

function duplicates({ rows, machines, calls }: FinalState): string[] {
  const found: string[] = [];
  for (const row of rows) {
    const own = machines.filter(({ config }) => config.metadata?.["cloud_machine_id"] === row.id);
    // A create that was given up long ago may land when the row's machine has been destroyed and its
    // name is free again; nobody can call it back, and the sweep destroys it.
    const oneByOne = row.status !== "running" && !lifetimesOverlap(own);
    if (own.length > 1 && !oneByOne) {
      found.push(`I3 ${row.machine_id} has ${own.length} Fly machines`);
    }
    if (own.some(({ name }) => name !== row.machine_id)) {
      found.push(`I3 a Fly machine of ${row.machine_id} has another name`);
    }
  }
  for (const machine of machines) {
    const owner = machine.config.metadata?.["cloud_machine_id"];
    if (!rows.some(({ id }) => id === owner)) found.push(`I3 ${machine.name} never had a row`);
  }
  const machineOfKey = new Map<string, string>();
  for (const { userId, key, answer } of calls) {
    const { machineId, code } = JSON.parse(answer?.text ?? "{}");
    // The limit's answer names the machine that is in the way.
    if (!key || !machineId || code === "machine_limit_reached") continue;
    const name = `${userId} ${key}`;
    const first = machineOfKey.get(name) ?? machineId;
    machineOfKey.set(name, first);
    if (first !== machineId) found.push(`I3 key ${name} answered ${first} and ${machineId}`);
  }
  return found;
}

function lifetimesOverlap(machines: Machine[]): boolean {
  const lives = machines.map(({ history }) => ({
    from: history[0]?.at ?? 0,
    to: history.find(({ state }) => state === "destroyed")?.at ?? Infinity,
  })).toSorted((a, b) => a.from - b.from);
  return lives.some(({ to }, index) => to > (lives[index + 1]?.from ?? Infinity));
}

function unseenMachines({ rows, machines }: FinalState): string[] {
  const found: string[] = [];
  for (const machine of machines.filter(({ live }) => live)) {
    const row = rows.find(({ fly_machine_id }) => fly_machine_id === machine.id);
    if (row?.status !== "running") {
      found.push(`I4 ${machine.name} lives while its row says ${row?.status}`);
    } else if (row.user_id === null) found.push(`I4 ${machine.name} lives without an owner`);
  }
  for (const row of rows.filter(({ status }) => status === "running")) {
    const machine = machines.find(({ id }) => id === row.fly_machine_id);
    if (machine?.state !== "started") {
      found.push(`I2 ${row.machine_id} is running, its Fly machine is ${machine?.state}`);
    }
  }
  return found;
}

/** Nobody destroys a machine behind the function's back in these runs. */
function falseAlarms({ events }: FinalState): string[] {
  return events.filter(({ kind }) => kind === "machine_lost")
    .map(({ cloud_machine_id }) => `I2 ${cloud_machine_id} was called lost`);
}

function unloggedFailures({ calls, lines }: FinalState): string[] {
  const errors = lines.filter((line) => line.includes('"level":"error"'));
  return calls.flatMap(({ answer }) => {
    if (answer === null || answer.status < 500) return [];
    const { requestId, code } = JSON.parse(answer.text);
    const logged = errors.some((line) => line.includes(requestId) && line.includes(code));
    return logged ? [] : [`I5 no error was logged for ${answer.text}`];
  });
}

function leakedSecrets({ rows, events, lines, calls, secrets }: FinalState): string[] {
  const places = {
    "a log line": lines.join("\n"),
    "a row": JSON.stringify(rows),
    "an event": JSON.stringify(events),
    "an answer": JSON.stringify(
      calls.map(({ answer }) => answer && [answer.text, ...answer.headers]),
    ),
  };
  return Object.entries(places).flatMap(([place, text]) =>
    secrets.filter((secret) => text.includes(secret)).map(() => `I6 a secret is in ${place}`)
  );
}
